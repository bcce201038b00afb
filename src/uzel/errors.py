"""What can go wrong, by name.

Two things live here. `Reason` is the one list of names under which a refusal or an ended connection is logged
and counted, on nodes and in clients alike (decision D6: bad input closes that connection, is counted by name,
and touches nothing else). `UzelError` is the tree of errors that a program using the library can meet; the
docstring of each class is the text that a person reads: what happened, and what to do.

Remote faults never raise inside a protocol machine: the machine reports a `Reason`. The errors below are raised
at the edges, where a program asked for something that did not come about.
"""

from __future__ import annotations

import inspect
from enum import IntEnum, StrEnum


class Reason(StrEnum):
    """Why a connection was closed, a call refused or a message ignored. The value is the name in logs and counters."""

    # The wire (section 2, D6)
    UNEQUAL_HEADER = "unequal_header"
    UNKNOWN_CODE = "unknown_code"
    MISPLACED_MESSAGE = "misplaced_message"
    SIZE_OUT_OF_RANGE = "size_out_of_range"
    TEXT_NOT_UTF8 = "text_not_utf8"
    ADDRESS_MALFORMED = "address_malformed"
    ACCEPTED_MALFORMED = "accepted_malformed"
    TRUNCATED_MESSAGE = "truncated_message"

    # Hello, TLS and identity (sections 3 and 7)
    VERSION_MISMATCH = "version_mismatch"
    HANDSHAKE_TIMEOUT = "handshake_timeout"
    TLS_FAILED = "tls_failed"
    TLS_VERSION = "tls_version"
    CERTIFICATE_MISSING = "certificate_missing"
    CERTIFICATE_MALFORMED = "certificate_malformed"
    CERTIFICATE_KEY_TYPE = "certificate_key_type"
    UIN_NOT_OF_KEY = "uin_not_of_key"
    UIN_TAKEN = "uin_taken"
    KEY_CHECKS_FULL = "key_checks_full"
    KEY_CHECKS_ADDRESS_FULL = "key_checks_address_full"
    LOGIN_RATE = "login_rate"

    # Connections (sections 3 and 8)
    HALF_OPEN_ADDRESS_FULL = "half_open_address_full"
    HALF_OPEN_FULL = "half_open_full"
    CONNECTIONS_ADDRESS_FULL = "connections_address_full"
    CONNECTIONS_FULL = "connections_full"
    DESCRIPTORS_EXHAUSTED = "descriptors_exhausted"
    SILENCE = "silence"
    SEND_QUEUE_FULL = "send_queue_full"
    REPLACED = "replaced"
    CONNECTION_LOST = "connection_lost"

    # Calls (section 4)
    CALL_TO_SELF = "call_to_self"
    CALL_TO_ZERO = "call_to_zero"
    CALLEE_OFFLINE = "callee_offline"
    CALLEE_REFUSED = "callee_refused"
    CALL_RATE = "call_rate"
    CALLER_UNANSWERED_FULL = "caller_unanswered_full"
    CALLEE_UNANSWERED_FULL = "callee_unanswered_full"
    RING_TIMEOUT = "ring_timeout"
    CALLEE_DATA_TIMEOUT = "callee_data_timeout"
    CALLER_DATA_TIMEOUT = "caller_data_timeout"
    CONTROL_LOST = "control_lost"
    DATA_LOST = "data_lost"
    LATE_ACCEPT = "late_accept"
    NODE_STOPPING = "node_stopping"

    # Data connections (D12, D13, D17)
    DATA_HELLO_TIMEOUT = "data_hello_timeout"
    DATA_NO_CALL = "data_no_call"
    DATA_TAKEN = "data_taken"
    DATA_WRONG_ADDRESS = "data_wrong_address"
    DATA_CALL_ENDED = "data_call_ended"
    CALL_RESTARTED = "call_restarted"
    DRAIN_TIMEOUT = "drain_timeout"

    # Links and node addresses (section 5, D6, D19, D21, D22)
    LINK_RATE = "link_rate"
    LINKS_FULL = "links_full"
    LINKS_ADDRESS_FULL = "links_address_full"
    LINK_UNUSED = "link_unused"
    LINK_REPLACED = "link_replaced"
    LINK_QUEUE_FULL = "link_queue_full"
    FENCES_FULL = "fences_full"
    FENCE_UNANSWERED = "fence_unanswered"
    OWN_ADDRESS = "own_address"
    RANGE_REFUSED = "range_refused"
    NODE_UNREACHABLE = "node_unreachable"
    NAME_UNKNOWN = "name_unknown"
    ANNOUNCEMENT_IGNORED = "announcement_ignored"

    # Searches and calls between nodes (section 5, D18-D20, D23-D26)
    SEARCH_RATE = "search_rate"
    LINK_CALL_RATE = "link_call_rate"
    CALL_HELD = "call_held"
    CALL_GLARE = "call_glare"
    CALL_FENCED = "call_fenced"
    CALLER_WITHDREW = "caller_withdrew"
    NODE_SAYS_NO = "node_says_no"
    NODE_SILENT = "node_silent"
    LINK_LOST = "link_lost"
    OTHER_LINK = "other_link"
    NO_CONVERSATION = "no_conversation"
    HELD_FULL = "held_full"
    HELD_ALL_FULL = "held_all_full"

    # The conversation, end to end (section 6), and what only a client meets
    PEER_WRONG_UIN = "peer_wrong_uin"
    PEER_KEY_CHANGED = "peer_key_changed"
    NODE_KEY_CHANGED = "node_key_changed"
    DOWNGRADED = "downgraded"
    NOT_LET_IN = "not_let_in"
    FIRST_BYTE_TIMEOUT = "first_byte_timeout"
    HELLO_MISSING = "hello_missing"
    ENVELOPE_MALFORMED = "envelope_malformed"
    ENVELOPE_REJECTED = "envelope_rejected"
    LOGIN_TIMEOUT = "login_timeout"

    # The page's door (decision 16)
    FOREIGN_HOST = "foreign_host"
    FOREIGN_ORIGIN = "foreign_origin"
    UNAUTHORIZED = "unauthorized"
    ONE_TIME_USED = "one_time_used"
    ONLY_AT_HOME = "only_at_home"
    RATE_LIMITED = "rate_limited"
    REQUEST_MALFORMED = "request_malformed"


class ExitCode(IntEnum):
    """What the process tells its caller (PRODUCT.md, "Command line")."""

    DONE = 0
    FIXABLE = 1
    UNEXPECTED = 2
    NETWORK = 3
    NOT_TRUSTED = 4
    RATE_LIMITED = 5
    QUEUED = 6


class UzelError(Exception):
    """Something in Uzel went wrong."""

    exit_code: ExitCode = ExitCode.FIXABLE
    reason: str = ""

    def __init__(self, detail: str = "", *, reason: str = "") -> None:
        self.detail = detail
        if reason:
            self.reason = reason
        super().__init__(detail)

    def __str__(self) -> str:
        """The sentence for a person: the class's own text, then the particulars."""
        text = " ".join(inspect.cleandoc(self.__doc__ or "").split())
        return f"{text} ({self.detail})" if self.detail else text


class InvalidNameError(UzelError, ValueError):
    """That is not a valid UIN, fingerprint, node address or contact link. Check it for typing errors."""

    reason = "invalid_name"


class ProfileError(UzelError):
    """The profile, or a file of it, cannot be used. Check the path, its owner and its permissions."""

    reason = "profile"


class NoProfileError(ProfileError):
    """There is no profile. Make one with uzel identity new --profile DIR, or let uzel run make one."""


class AlreadyThereError(ProfileError):
    """Something is there already, and nothing is ever overwritten. Choose another place."""


class NoPassphraseError(ProfileError):
    """The profile has no passphrase. There is none to remove."""


class ProfileHeldError(ProfileError):
    """Another program is using this profile. End it first, or use another profile."""

    reason = "profile_held"


class BotHeldError(ProfileHeldError):
    """Another bot answers on this profile. End it first, or give this one a profile of its own."""

    reason = "bot_held"


class PassphraseNeededError(ProfileError):
    """The profile is locked. Give its passphrase; if it never had one, its key file profile.key is missing: put back
    a copy of it, or restore a backup."""

    reason = "passphrase_needed"


class SecretNeededError(PassphraseNeededError):
    """A passphrase or a recovery code is needed. Give it at a terminal, on standard input, or in a file."""


class WrongPassphraseError(ProfileError):
    """That does not open the file. Check the passphrase or recovery code for typing errors; if it is surely right,
    the file is damaged: use a backup."""

    reason = "wrong_passphrase"


class BadPassphraseError(ProfileError):
    """That cannot be a passphrase. Choose another."""

    reason = "bad_passphrase"


class KeyFileError(ProfileError):
    """The key file beside the profile does not open it. Put back the profile.key that belongs to it, or restore a
    backup."""

    reason = "key_file"


class ProfileDamagedError(ProfileError):
    """The profile is damaged. Keep a copy of its folder, then restore a backup into a new one."""

    reason = "profile_damaged"


class ProfileTruncatedError(ProfileDamagedError):
    """The end of the profile is missing. Copy the file again if it came from elsewhere, or restore a backup."""

    reason = "profile_truncated"


class ForeignProfileError(ProfileError):
    """That file is no profile of Uzel's. Check its name."""

    reason = "profile_foreign"


class ProfileTooNewError(ProfileError):
    """The profile was written by a newer Uzel. Update this one."""

    reason = "profile_too_new"


class ProfileReadOnlyError(ProfileError):
    """The profile cannot be written to. Check the owner and the permissions of its folder, or copy it to a disk that
    can be written to."""

    reason = "profile_read_only"


class StorageError(UzelError):
    """The disk did not take what was to be written. Check its free space and the folder's permissions."""

    reason = "storage"


class ConfigError(UzelError):
    """A setting or an option is wrong, or missing. Correct what is named here."""

    reason = "config"


class NetworkError(UzelError):
    """The network or the other side did not answer as it should. Try again later."""

    exit_code = ExitCode.NETWORK
    reason = "network"


class NodeUnreachableError(NetworkError):
    """The node cannot be reached. Check its address and your connection."""

    reason = "node_unreachable"


class NodeRefusedError(NetworkError):
    """The node ended the connection. If it goes on, ask the node's operator; the reason is given here."""

    reason = "node_refused"


class VersionMismatchError(NetworkError):
    """The other side speaks another version of the protocol. Update the older of the two."""

    reason = Reason.VERSION_MISMATCH


class UnavailableError(NetworkError):
    """The other side is offline, unknown or refused the call. Try again when they are online."""

    reason = "unavailable"


class TimedOutError(NetworkError):
    """There was no answer in time. Try again, or allow more time."""

    reason = "timed_out"


class ConversationEndedError(NetworkError):
    """The conversation ended before the text was reported delivered. It may or may not have arrived."""

    reason = "conversation_ended"


class ClientClosedError(NetworkError):
    """This client was closed. Open a new one."""

    reason = "client_closed"


class RateLimitedError(UzelError):
    """Too much at once. Wait a while, then try again."""

    exit_code = ExitCode.RATE_LIMITED
    reason = Reason.RATE_LIMITED


class NotTrustedError(UzelError):
    """The other side could not prove who it is. Nothing was sent."""

    exit_code = ExitCode.NOT_TRUSTED
    reason = "not_trusted"


class CertificateError(NotTrustedError):
    """The certificate shown is not one of Uzel's: it must carry the number that belongs to its key."""

    reason = Reason.CERTIFICATE_MALFORMED


class WrongPeerError(NotTrustedError):
    """Someone else answered: the certificate shown is not that of the number called. Nothing was sent."""

    reason = Reason.PEER_WRONG_UIN


class PeerKeyChangedError(NotTrustedError):
    """The key of this contact has changed. Nothing was sent. Ask them in person, or over another channel, whether
    they made a new identity; only then remove the old key from your profile and add their new contact link."""

    reason = Reason.PEER_KEY_CHANGED
    shown: object = None
    """The fingerprint that was shown, once it is known that the number belongs to that key."""


class DowngradedError(NotTrustedError):
    """This contact spoke `uzel/2` before and now offers less. Nothing was sent: it may be somebody in between. If they
    did go back to an older program, agree to it at their contact."""

    reason = Reason.DOWNGRADED


class NotAContactError(UzelError):
    """That is no contact of yours. Add them first, by their contact link or their number."""

    reason = "not_a_contact"


class SelfContactError(UzelError):
    """That is your own number. Give it to others; it cannot be a contact of yours."""

    reason = "self_contact"


class NoRequestError(UzelError):
    """Nobody with that number has asked to be let in, or they asked too long ago."""

    reason = "no_request"


class InviteError(UzelError):
    """That invite cannot be. Check its number of uses and how long it lasts."""

    reason = "invite"


class NoInviteError(InviteError):
    """There is no such invite. See which there are with uzel invite list."""


class TextTooLongError(UzelError):
    """That text is too long. Send it in several, or as a file by other means."""

    reason = "text_too_long"


class NotLetInError(UzelError):
    """One of you does not let the other in. They take texts from their contacts alone, or blocked you; or you blocked
    them."""

    reason = Reason.NOT_LET_IN


class NodeKeyChangedError(NotTrustedError):
    """The key of the node at this address has changed. Nothing was sent. Ask the node's operator for its new
    fingerprint; if it is the one shown here, give the node as HOST:PORT,FINGERPRINT once to accept it."""

    reason = Reason.NODE_KEY_CHANGED


class ProtocolError(NetworkError):
    """The other side does not keep to the protocol. The connection was closed."""

    reason = "protocol"


class NoNodeError(NetworkError):
    """No node runs on that state folder. Check the path, or start one with uzel node run."""

    reason = "no_node"


class NotYourNodeError(UzelError):
    """That node belongs to another user. Ask as the user it runs as, or as the administrator."""

    exit_code = ExitCode.FIXABLE
    reason = "not_your_node"


class NodeSilentError(NetworkError):
    """The node does not answer. If that lasts, look into its log."""

    reason = "node_silent"


class NoCoreError(UzelError):
    """No core runs on this profile. Start one with uzel start."""

    reason = "no_core"


class NotYourCoreError(UzelError):
    """That profile's core belongs to another user. Ask as the user it runs as."""

    reason = "not_your_core"


class CoreSilentError(NetworkError):
    """The core does not answer. If that lasts, look into its log, or start it again."""

    reason = "core_silent"


class RequestRefusedError(UzelError):
    """That request is not taken as it is. Correct what is named here."""

    reason = "bad_request"


class NotSignedInError(UzelError):
    """This browser is not signed in. Open Uzel with uzel web on the computer on which it runs, or enter a pairing
    code."""

    reason = Reason.UNAUTHORIZED


class OneTimeUsedError(UzelError):
    """This address was opened before, or is too old. Make a new one with uzel web. If it was not you who opened it,
    look which devices are signed in, and sign out those that are not yours."""

    reason = Reason.ONE_TIME_USED


class NoDeviceError(UzelError):
    """There is no such device. It was signed out, perhaps."""

    reason = "no_device"


class NoPageError(UzelError):
    """This core does not serve the page. Start it with uzel start --web."""

    reason = "no_page"


class PictureError(UzelError):
    """That picture cannot be read. Make it smaller, or check its width and height."""

    reason = "picture"


class TextError(UzelError):
    """That text cannot be sent. Nothing was sent."""

    reason = "text"


class TextEmptyError(TextError):
    """There is nothing in that text. Nothing was sent."""

    reason = "text_empty"


class NoTextError(UzelError):
    """There is no such text. It was deleted, perhaps, or has a new number since it was tried again."""

    reason = "no_text"


class TextStateError(UzelError):
    """That cannot be done to a text that is so far. Look how far it has come."""

    reason = "text_state"


class KeyNotComparedError(NotTrustedError):
    """That is not the safety number, or the key, of this contact now. Look at the contact again, and compare anew."""

    reason = "key_not_compared"


class NotComparedError(UzelError):
    """Nothing was compared, so nobody was verified. Read your safety numbers to one another first."""

    reason = "not_compared"


class QueuedError(UzelError):
    """It is queued and not delivered yet. It goes out by itself as soon as the other side is there."""

    exit_code = ExitCode.QUEUED
    reason = "queued"


class NotAcceptedError(QueuedError):
    """The other side has not let you in yet. The text waits, and goes out by itself once they accept."""


class NotAgreedError(QueuedError):
    """They came with a program that offers less than before. The text waits: ask them, over another channel, whether
    they went back to an older one, then agree to it at their contact."""


class LoginLostError(NetworkError):
    """The connection to the node was lost while the call was being set up. Try again."""

    reason = "offline"

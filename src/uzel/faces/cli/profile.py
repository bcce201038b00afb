"""`uzel profile`: back it up, restore it, change its passphrase, check it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uzel.errors import ExitCode
from uzel.faces.cli.options import JsonOption, ProfileOption, new_profile_folder
from uzel.faces.cli.output import json_line, printable, put, say
from uzel.faces.cli.passphrases import PassphraseFileOption, asked
from uzel.faces.cli.profiles import NEW, open_profile, peek_profile
from uzel.faces.cli.running import stop_on_signals

profile_app = typer.Typer(
    no_args_is_help=True,
    help="""\b
    uzel profile backup alice.uzel --profile alice
    uzel profile restore alice.uzel --profile new-alice
    uzel profile passphrase --profile alice
    uzel profile check --profile alice

    Your whole identity in one encrypted file: back it up, restore it, lock it, check it.
    """,
    rich_markup_mode=None,
)

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.", show_default=False)]
BackupSecretOption = Annotated[
    Path | None,
    typer.Option(
        "--backup-passphrase-file",
        metavar="FILE",
        help="The backup's own passphrase or recovery code: the first line of a file of mode 0600.",
        show_default=False,
    ),
]
NewPassphraseOption = Annotated[
    Path | None,
    typer.Option(
        "--new-passphrase-file",
        metavar="FILE",
        help="The new passphrase: the first line of a file of mode 0600. Default: ask, or read standard input.",
        show_default=False,
    ),
]


@profile_app.command("backup", short_help="Write a backup that needs nothing else.")
def backup_command(
    file: FileArgument,
    profile: ProfileOption = None,
    passphrase_file: PassphraseFileOption = None,
    own_passphrase: Annotated[
        bool, typer.Option("--own-passphrase", help="Choose a passphrase for the backup, in place of a recovery code.")
    ] = False,
    backup_passphrase_file: BackupSecretOption = None,
    as_json: JsonOption = False,
) -> None:
    """\b
    uzel profile backup alice.uzel --profile alice
    uzel profile backup alice.uzel --profile alice --own-passphrase

    Write everything into one encrypted file: key, contacts, texts. The profile may be in use.

    It is opened by a recovery code, which is shown once, or by a passphrase of its own, never by this machine's key
    file. From standard input come, each on a line and only when needed: the profile's passphrase, the backup's.
    """
    stop_on_signals()
    from uzel.store.backup import backup, new_recovery_code  # noqa: PLC0415 - help must not load cryptography
    from uzel.store.files import refuse_existing  # noqa: PLC0415

    refuse_existing(file)  # before anything is asked
    code = None if own_passphrase or backup_passphrase_file else new_recovery_code()
    with peek_profile(profile, passphrase_file) as opened:
        secret = code or asked("Passphrase of the backup", backup_passphrase_file, confirm=True)()
        backup(opened, file, secret)
    if as_json:
        put(json_line({"file": str(file), "recovery_code": code}))
    elif code:
        put(f"recovery code  {code}\n")
    if code:
        say("Write the recovery code down now: it is not kept anywhere, and without it the backup cannot be opened.")


@profile_app.command("restore", short_help="Make a profile of a backup.")
def restore_command(
    file: FileArgument,
    profile: ProfileOption = None,
    backup_passphrase_file: BackupSecretOption = None,
    set_passphrase: Annotated[
        bool, typer.Option("--set-passphrase", help="Lock the restored profile with a passphrase.")
    ] = False,
    new_passphrase_file: NewPassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """\b
    uzel profile restore alice.uzel --profile alice
    uzel profile restore alice.uzel --profile alice --set-passphrase

    Make a profile of a backup, in a folder that holds none. Use it at one place: end the old one first.

    From standard input come, each on a line and only when needed: the backup's recovery code or passphrase, the new
    passphrase of the profile.
    """
    stop_on_signals()
    from uzel.store.backup import require_backup, restore  # noqa: PLC0415 - help must not load cryptography
    from uzel.store.profile import refuse_profile  # noqa: PLC0415

    folder = new_profile_folder(profile)
    refuse_profile(folder)  # before anything is asked
    require_backup(file)
    secret = asked("Recovery code or passphrase of the backup", backup_passphrase_file)()
    wants = set_passphrase or new_passphrase_file is not None
    passphrase = asked(NEW, new_passphrase_file, confirm=True)() if wants else None
    with restore(file, folder, secret, passphrase=passphrase, program="uzel profile restore") as restored:
        uin, fingerprint = int(restored.identity.uin), str(restored.identity.fingerprint)
    if as_json:
        put(json_line({"uin": uin, "fingerprint": fingerprint, "passphrase": passphrase is not None}))
    else:
        put(f"UIN          {uin}\nfingerprint  {fingerprint}\n")
    if passphrase is None:
        say(f"There is no passphrase: set one with uzel profile passphrase --profile {folder}")


@profile_app.command("passphrase", short_help="Set, change or remove the passphrase.")
def passphrase_command(
    profile: ProfileOption = None,
    passphrase_file: PassphraseFileOption = None,
    new_passphrase_file: NewPassphraseOption = None,
    remove: Annotated[bool, typer.Option("--remove", help="No passphrase: a key file beside the profile.")] = False,
    as_json: JsonOption = False,
) -> None:
    """\b
    uzel profile passphrase --profile alice
    uzel profile passphrase --profile alice --remove

    Set or change the passphrase of a profile that is not in use, or remove it.

    Without one its key is in a file beside it, which protects nothing from whoever can read both. Backups keep their
    own. From standard input come, each on a line and only when needed: the present passphrase, the new one.
    """
    stop_on_signals()
    from uzel.store.keys import check_passphrase  # noqa: PLC0415 - help must not load cryptography
    from uzel.store.upkeep import change_passphrase  # noqa: PLC0415

    with open_profile(profile, passphrase_file, "uzel profile passphrase") as opened:
        new = None if remove else asked(NEW, new_passphrase_file, confirm=True)()
        if new is not None:
            check_passphrase(new)
        change_passphrase(opened, new)
    if as_json:
        put(json_line({"passphrase": new is not None}))
    else:
        put("The passphrase was removed.\n" if new is None else "The passphrase was set.\n")


@profile_app.command("check", short_help="Look whether all of it is sound.")
def check_command(
    profile: ProfileOption = None, passphrase_file: PassphraseFileOption = None, as_json: JsonOption = False
) -> None:
    """\b
    uzel profile check --profile alice
    uzel profile check --profile alice --json

    Read all of a profile and say what is wrong with it; exit code 1 when something is. It may be in use.
    """
    stop_on_signals()
    from uzel.store.upkeep import check  # noqa: PLC0415 - help must not load cryptography

    with peek_profile(profile, passphrase_file) as opened:
        findings = check(opened)
    if as_json:
        shown = [{"check": finding.check, "detail": finding.detail} for finding in findings]
        put(json_line({"ok": not findings, "findings": shown}))
    else:
        lines = [f"{finding.check}: {printable(finding.detail)}" for finding in findings] or ["All is well."]
        put("".join(f"{line}\n" for line in lines))
    if findings:
        raise typer.Exit(ExitCode.FIXABLE)

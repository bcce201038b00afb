"""The messenger itself: what a person keeps running, one for each profile, with any number of faces attached.

It owns the key, the contacts, the history and the outbox. What decides is pure (`outbox`, `gate`, `conversation`): it
takes events and `now` and gives back effects; what carries them out is thin. Rule: persist, then send. A report leaves
only after the commit of what it reports, and a text is committed before its first byte leaves. Counterpart: the cores
of other people, and clients that speak the base protocol alone.
"""

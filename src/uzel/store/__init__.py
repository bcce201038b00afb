"""What outlives the process: a user's profile (identity, pins) and a node's folder (identity, claims on UINs).

Everything here is durable when its method returns, unless it says otherwise. Files belong to their owner alone.
Counterpart: `uzel.identity` decides what is written; nothing here decides whom to trust.
Import from the modules: a node loads nothing that only profiles need.
"""

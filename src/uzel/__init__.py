"""Uzel: a federated, end-to-end-encrypted messenger. A user is a number and a key; nodes can read nothing."""

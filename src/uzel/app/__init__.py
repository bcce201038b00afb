"""The one composition root: only here do faces, node and client meet."""

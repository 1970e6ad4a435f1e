-- Public keys, one a line: of a node, and of a binding, which keeps those that counted when it was made.
ALTER TABLE node ADD COLUMN ssh_keys TEXT NOT NULL DEFAULT '';
ALTER TABLE binding ADD COLUMN ssh_keys TEXT NOT NULL DEFAULT '';

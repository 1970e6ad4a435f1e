-- The address that DHCP gives a node; one machine over all projects has it.
ALTER TABLE node ADD COLUMN address VARCHAR(15);
CREATE UNIQUE INDEX node_address ON node (address);

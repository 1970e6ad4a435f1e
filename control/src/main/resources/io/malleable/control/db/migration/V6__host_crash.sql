-- What a node does when the host of the server took acknowledged writes with it.
ALTER TABLE node ADD COLUMN after_host_crash VARCHAR(16) NOT NULL DEFAULT 'REBOOT';

-- Whether the target acknowledges writes before they are durable; and since when its disk may lack some, which boot of
-- the node must not go on over them, and the operation that reboots it.
ALTER TABLE binding ADD COLUMN write_cache VARCHAR(16) NOT NULL DEFAULT 'WRITE_BACK';
ALTER TABLE binding ADD COLUMN lost_writes_at BIGINT;
ALTER TABLE binding ADD COLUMN lost_writes_boot BIGINT;
ALTER TABLE binding ADD COLUMN power_cycle VARCHAR(36);

-- An initiator that still believes in a cache flushes once more than it needs to.
UPDATE binding SET write_cache = 'WRITE_THROUGH' WHERE node_id IS NULL;

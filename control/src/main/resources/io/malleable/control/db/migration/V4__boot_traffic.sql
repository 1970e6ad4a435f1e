-- What had gone over the disk's target when the boot began: a disk can boot many times.
ALTER TABLE boot ADD COLUMN read_before BIGINT NOT NULL DEFAULT 0;
ALTER TABLE boot ADD COLUMN written_before BIGINT NOT NULL DEFAULT 0;

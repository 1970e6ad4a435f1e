package io.malleable.app;

import io.malleable.iscsi.LogicalUnit;
import io.malleable.iscsi.LogicalUnitIdentity;
import io.malleable.netboot.CloudInit;
import io.malleable.netboot.IdentityDisk;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/**
 * A node's second drive: who it is, for cloud-init. Made from the node's name and disk, so it is
 * the same after a restart; the disk's id makes it a new instance for each clone and the same one
 * after a failover.
 */
final class IdentityUnit implements LogicalUnit {
  private static final int BLOCK_BYTES = 512;

  private final LogicalUnitIdentity identity;
  private final IdentityDisk disk;

  private IdentityUnit(LogicalUnitIdentity identity, IdentityDisk disk) {
    this.identity = identity;
    this.disk = disk;
  }

  static IdentityUnit of(UUID disk, String node, List<String> sshPublicKeys) {
    UUID id = UUID.nameUUIDFromBytes(("cidata " + disk).getBytes(StandardCharsets.US_ASCII));
    return new IdentityUnit(
        new LogicalUnitIdentity(id, "M2", "CIDATA", "1"),
        IdentityDisk.of(
            CloudInit.metaData(disk.toString(), node),
            CloudInit.userData(sshPublicKeys, Optional.empty()),
            CloudInit.NETWORK_UNTOUCHED));
  }

  @Override
  public LogicalUnitIdentity identity() {
    return identity;
  }

  @Override
  public int blockSizeBytes() {
    return BLOCK_BYTES;
  }

  @Override
  public long sizeBytes() {
    return disk.sizeBytes();
  }

  @Override
  public boolean readOnly() {
    return true;
  }

  @Override
  public void read(long offsetBytes, ByteBuffer destination) {
    disk.read(offsetBytes, destination);
  }

  @Override
  public void write(long offsetBytes, ByteBuffer source) throws IOException {
    throw readOnlyUnit();
  }

  @Override
  public void flush() {}

  @Override
  public void unmap(long offsetBytes, long lengthBytes) throws IOException {
    throw readOnlyUnit();
  }

  @Override
  public void writeZeroes(long offsetBytes, long lengthBytes) throws IOException {
    throw readOnlyUnit();
  }

  @Override
  public Extent extentAt(long offsetBytes) {
    return new Extent(true, sizeBytes() - offsetBytes);
  }

  /** The target refuses these itself for a unit that is read-only. */
  private static IOException readOnlyUnit() {
    return new IOException("the identity drive is read-only");
  }
}

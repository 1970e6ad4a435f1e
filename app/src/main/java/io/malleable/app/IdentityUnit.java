package io.malleable.app;

import io.malleable.iscsi.LogicalUnit;
import io.malleable.iscsi.LogicalUnitIdentity;
import io.malleable.netboot.CloudInit;
import io.malleable.netboot.IdentityDisk;
import java.io.IOException;
import java.lang.ref.SoftReference;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Supplier;

/**
 * A node's second drive: who it is, for cloud-init. Made from the node's name and disk when it is
 * read, so it is the same after a restart; the disk's id makes it a new instance for each clone and
 * the same one after a failover. Safe for all threads.
 */
final class IdentityUnit implements LogicalUnit {
  private static final int BLOCK_BYTES = 512;

  /** For the URL, which is known only when the machine has called; cut off or not, it fits. */
  private static final int ROOM_FOR_URL_BYTES = 8192;

  /** What was made for a URL. */
  private record Made(Optional<String> phoneHomeUrl, IdentityDisk disk) {}

  private final LogicalUnitIdentity identity;
  private final String metaData;
  private final List<String> sshPublicKeys;
  private final Supplier<Optional<String>> phoneHomeUrl;
  private final long sizeBytes;

  /** Thousands of machines run and read theirs once: what is not read may go. */
  private volatile SoftReference<Made> made = new SoftReference<>(null);

  private IdentityUnit(
      UUID disk,
      String metaData,
      List<String> sshPublicKeys,
      Supplier<Optional<String>> phoneHomeUrl) {
    this.identity = new LogicalUnitIdentity(id(disk), "M2", "CIDATA", "1");
    this.metaData = metaData;
    this.sshPublicKeys = sshPublicKeys;
    this.phoneHomeUrl = phoneHomeUrl;
    this.sizeBytes = make(Optional.empty()).sizeBytes() + ROOM_FOR_URL_BYTES;
  }

  /**
   * Makes the drive.
   *
   * @param phoneHomeUrl asked when the drive is read
   */
  static IdentityUnit of(
      UUID disk, String node, List<String> sshPublicKeys, Supplier<Optional<String>> phoneHomeUrl) {
    String metaData = CloudInit.metaData(disk.toString(), CloudInit.hostName(node));
    return new IdentityUnit(disk, metaData, List.copyOf(sshPublicKeys), phoneHomeUrl);
  }

  /** Of the second drive beside that disk. */
  static UUID id(UUID disk) {
    return UUID.nameUUIDFromBytes(("cidata " + disk).getBytes(StandardCharsets.US_ASCII));
  }

  private IdentityDisk make(Optional<String> url) {
    return IdentityDisk.of(
        metaData, CloudInit.userData(sshPublicKeys, url), CloudInit.NETWORK_UNTOUCHED);
  }

  private IdentityDisk disk() {
    Optional<String> url = phoneHomeUrl.get();
    Made present = made.get();
    if (present == null || !present.phoneHomeUrl().equals(url)) {
      present = new Made(url, make(url));
      made = new SoftReference<>(present);
    }
    return present.disk();
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
    return sizeBytes;
  }

  @Override
  public boolean readOnly() {
    return true;
  }

  /** Behind the file system there is nothing but zeros. */
  @Override
  public void read(long offsetBytes, ByteBuffer destination) {
    IdentityDisk disk = disk();
    int there = (int) Math.clamp(disk.sizeBytes() - offsetBytes, 0, (long) destination.remaining());
    if (there > 0) {
      int limit = destination.limit();
      destination.limit(destination.position() + there);
      disk.read(offsetBytes, destination);
      destination.limit(limit);
    }
    while (destination.hasRemaining()) {
      destination.put((byte) 0);
    }
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

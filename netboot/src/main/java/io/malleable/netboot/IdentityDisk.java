package io.malleable.netboot;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The read-only drive from which cloud-init's NoCloud source takes the identity of a node: an ISO
 * 9660 file system labelled {@code CIDATA}, made from text and never stored. Equal texts make equal
 * bytes. Immutable; read from any thread.
 */
public final class IdentityDisk {
  /** cloud-init refuses more; and this much is held in memory for each booted node. */
  private static final int MAX_TEXT_BYTES = 1 << 20;

  private final ByteBuffer image;

  private IdentityDisk(ByteBuffer image) {
    this.image = image;
  }

  /**
   * Makes the drive.
   *
   * @param metaData see {@link CloudInit#metaData}
   * @param userData a cloud-config, a script, or MIME parts
   * @param networkConfig empty for none
   * @throws IllegalArgumentException when the texts are too long
   */
  public static IdentityDisk of(String metaData, String userData, String networkConfig) {
    Map<String, byte[]> files = new LinkedHashMap<>();
    put(files, "meta-data", metaData);
    if (!networkConfig.isEmpty()) {
      put(files, "network-config", networkConfig);
    }
    put(files, "user-data", userData);
    return new IdentityDisk(ByteBuffer.wrap(Iso9660.image("CIDATA", files)).asReadOnlyBuffer());
  }

  /** A multiple of 4096. */
  public long sizeBytes() {
    return image.capacity();
  }

  /**
   * Fills the buffer to its limit.
   *
   * @throws IndexOutOfBoundsException when the range is not within the drive
   */
  public void read(long offsetBytes, ByteBuffer destination) {
    if (offsetBytes < 0 || offsetBytes > sizeBytes() - destination.remaining()) {
      throw new IndexOutOfBoundsException(
          "%d bytes at %d of %d".formatted(destination.remaining(), offsetBytes, sizeBytes()));
    }
    destination.put(image.slice((int) offsetBytes, destination.remaining()));
  }

  private static void put(Map<String, byte[]> files, String name, String text) {
    byte[] content = text.getBytes(StandardCharsets.UTF_8);
    if (content.length > MAX_TEXT_BYTES) {
      throw new IllegalArgumentException(
          "%s has %d bytes, at most %d are allowed"
              .formatted(name, content.length, MAX_TEXT_BYTES));
    }
    files.put(name, content);
  }
}

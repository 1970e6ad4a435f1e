package io.malleable.netboot;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;

/**
 * Writes a small ISO 9660 file system (ECMA-119) with a few files in its root, whose real names are
 * in Rock Ridge entries (SUSP 1.10, RRIP 1.10).
 *
 * <pre>
 *   sector  0..15  system area, zero
 *          16      primary volume descriptor
 *          17      volume descriptor set terminator
 *          18      path table, little-endian
 *          19      path table, big-endian
 *          20      root directory
 *          21..    files, each from a new sector
 * </pre>
 *
 * There are no dates in it, so that equal contents make equal images.
 */
final class Iso9660 {
  private static final int SECTOR_BYTES = 2048;
  private static final int DESCRIPTOR = 16;
  private static final int TERMINATOR = 17;
  private static final int PATH_TABLE_LITTLE = 18;
  private static final int PATH_TABLE_BIG = 19;
  private static final int ROOT = 20;
  private static final int FIRST_FILE = 21;

  /** So that the size suits every logical block length and page. */
  private static final int ALIGNMENT_BYTES = 4096;

  private static final int PATH_TABLE_BYTES = 10;
  private static final int FLAG_DIRECTORY = 2;
  private static final int MODE_DIRECTORY = 0040555;
  private static final int MODE_FILE = 0100444;

  private final ByteBuffer out;

  private Iso9660(int sizeBytes) {
    out = ByteBuffer.allocate(sizeBytes);
  }

  /**
   * The whole image.
   *
   * @param label volume identifier, at most 32 of A-Z, 0-9 and _
   * @param files names in ascending order; they must differ in their first eight characters
   */
  static byte[] image(String label, Map<String, byte[]> files) {
    int sectors = FIRST_FILE;
    for (byte[] content : files.values()) {
      sectors += sectors(content);
    }
    int sizeBytes =
        (sectors * SECTOR_BYTES + ALIGNMENT_BYTES - 1) / ALIGNMENT_BYTES * ALIGNMENT_BYTES;
    Iso9660 iso = new Iso9660(sizeBytes);
    iso.primaryDescriptor(label, sizeBytes / SECTOR_BYTES);
    iso.terminator();
    iso.pathTable(PATH_TABLE_LITTLE, ByteOrder.LITTLE_ENDIAN);
    iso.pathTable(PATH_TABLE_BIG, ByteOrder.BIG_ENDIAN);
    iso.rootDirectory(files);
    return iso.out.array();
  }

  private static int sectors(byte[] content) {
    return (content.length + SECTOR_BYTES - 1) / SECTOR_BYTES;
  }

  /** ECMA-119 8.4. */
  private void primaryDescriptor(String label, int sectors) {
    int start = DESCRIPTOR * SECTOR_BYTES;
    out.put(start, (byte) 1);
    text(start + 1, 5, "CD001");
    out.put(start + 6, (byte) 1);
    text(start + 8, 32, "");
    text(start + 40, 32, label);
    both32(start + 80, sectors);
    both16(start + 120, 1); // volume set size
    both16(start + 124, 1); // volume sequence number
    both16(start + 128, SECTOR_BYTES);
    both32(start + 132, PATH_TABLE_BYTES);
    out.order(ByteOrder.LITTLE_ENDIAN).putInt(start + 140, PATH_TABLE_LITTLE);
    out.order(ByteOrder.BIG_ENDIAN).putInt(start + 148, PATH_TABLE_BIG);
    record(start + 156, ROOT, SECTOR_BYTES, FLAG_DIRECTORY, new byte[] {0});
    // Volume set, publisher, preparer, application; copyright, abstract and bibliographic files.
    text(start + 190, 4 * 128 + 3 * 37, "");
    for (int i = 0; i < 4; i++) {
      noDate(start + 813 + 17 * i);
    }
    out.put(start + 881, (byte) 1); // file structure version
  }

  private void terminator() {
    int start = TERMINATOR * SECTOR_BYTES;
    out.put(start, (byte) 255);
    text(start + 1, 5, "CD001");
    out.put(start + 6, (byte) 1);
  }

  /** ECMA-119 9.4: the root only. */
  private void pathTable(int sector, ByteOrder order) {
    int start = sector * SECTOR_BYTES;
    out.put(start, (byte) 1);
    out.order(order).putInt(start + 2, ROOT);
    out.order(order).putShort(start + 6, (short) 1);
  }

  private void rootDirectory(Map<String, byte[]> files) {
    int at = ROOT * SECTOR_BYTES;
    int self = record(at, ROOT, SECTOR_BYTES, FLAG_DIRECTORY, new byte[] {0});
    self += sharingProtocol(at + self);
    self += posix(at + self, MODE_DIRECTORY, 2);
    self += extensionReference(at + self);
    at = close(at, self);
    int parent = record(at, ROOT, SECTOR_BYTES, FLAG_DIRECTORY, new byte[] {1});
    parent += posix(at + parent, MODE_DIRECTORY, 2);
    at = close(at, parent);
    int sector = FIRST_FILE;
    for (Map.Entry<String, byte[]> file : files.entrySet()) {
      byte[] content = file.getValue();
      int length =
          record(
              at,
              sector,
              content.length,
              0,
              shortName(file.getKey()).getBytes(StandardCharsets.US_ASCII));
      length += posix(at + length, MODE_FILE, 1);
      length += alternateName(at + length, file.getKey());
      at = close(at, length);
      out.put(sector * SECTOR_BYTES, content);
      sector += sectors(content);
    }
  }

  /** The name of level 1 for readers without Rock Ridge: {@code META_DAT.;1}. */
  private static String shortName(String name) {
    String plain = name.toUpperCase(Locale.ROOT).replaceAll("[^A-Z0-9]", "_");
    return plain.substring(0, Math.min(8, plain.length())) + ".;1";
  }

  /** ECMA-119 9.1; returns its length, to which system use entries are added. */
  private int record(int at, int sector, int lengthBytes, int flags, byte[] identifier) {
    both32(at + 2, sector);
    both32(at + 10, lengthBytes);
    out.put(at + 25, (byte) flags);
    both16(at + 28, 1);
    out.put(at + 32, (byte) identifier.length);
    out.put(at + 33, identifier);
    int length = 33 + identifier.length;
    length += length & 1;
    out.put(at, (byte) length);
    return length;
  }

  /** Sets the length of a directory record with its entries; returns where the next one starts. */
  private int close(int at, int length) {
    int even = length + (length & 1);
    out.put(at, (byte) even);
    return at + even;
  }

  /** SUSP 5.3, which says that there are such entries at all. */
  private int sharingProtocol(int at) {
    entry(at, "SP", 7);
    out.put(at + 4, (byte) 0xbe).put(at + 5, (byte) 0xef);
    return 7;
  }

  /** SUSP 5.5, which says that they are Rock Ridge's. */
  private int extensionReference(int at) {
    String identifier = "RRIP_1991A";
    int length = 8 + identifier.length();
    entry(at, "ER", length);
    out.put(at + 4, (byte) identifier.length());
    out.put(at + 7, (byte) 1);
    text(at + 8, identifier.length(), identifier);
    return length;
  }

  /** RRIP 4.1.1: mode, links, owner, group. */
  private int posix(int at, int mode, int links) {
    entry(at, "PX", 36);
    both32(at + 4, mode);
    both32(at + 12, links);
    both32(at + 20, 0);
    both32(at + 28, 0);
    return 36;
  }

  /** RRIP 4.1.4. */
  private int alternateName(int at, String name) {
    int length = 5 + name.length();
    entry(at, "NM", length);
    text(at + 5, name.length(), name);
    return length;
  }

  private void entry(int at, String signature, int length) {
    text(at, 2, signature);
    out.put(at + 2, (byte) length);
    out.put(at + 3, (byte) 1);
  }

  /** ECMA-119 8.4.26.1: sixteen digits zero and no offset, not specified. */
  private void noDate(int at) {
    for (int i = 0; i < 16; i++) {
      out.put(at + i, (byte) '0');
    }
  }

  private void text(int at, int lengthBytes, String text) {
    for (int i = 0; i < lengthBytes; i++) {
      out.put(at + i, (byte) (i < text.length() ? text.charAt(i) : ' '));
    }
  }

  /** ECMA-119 7.3.3: little-endian, then big-endian. */
  private void both32(int at, int value) {
    out.order(ByteOrder.LITTLE_ENDIAN).putInt(at, value);
    out.order(ByteOrder.BIG_ENDIAN).putInt(at + 4, value);
  }

  /** ECMA-119 7.2.3. */
  private void both16(int at, int value) {
    out.order(ByteOrder.LITTLE_ENDIAN).putShort(at, (short) value);
    out.order(ByteOrder.BIG_ENDIAN).putShort(at + 2, (short) value);
  }
}

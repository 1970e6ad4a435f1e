package io.malleable.volume.imagefile;

import io.malleable.volume.VolumeStore;
import io.malleable.volume.imagefile.ImageException.Reason;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;

/**
 * Looks at the first bytes of an image file before anything else does. What names other files
 * (backing files, external extents) is refused here, so that no tool ever follows such a name.
 */
final class ImageInspector {
  private static final int SECTOR_BYTES = 512;
  private static final int HEAD_BYTES = 68 << 10;

  private static final int QCOW2_MAGIC = 0x514649fb; // "QFI\xfb"
  private static final int QCOW2_BACKING_OFFSET = 8;
  private static final int QCOW2_SIZE = 24;
  private static final int QCOW2_FEATURES = 72;
  private static final long QCOW2_EXTERNAL_DATA = 1L << 2;

  private static final int VMDK_MAGIC = 0x4b444d56; // "KDMV"
  private static final int VMDK_CAPACITY = 12;
  private static final int VMDK_DESCRIPTOR_SECTOR = 28;
  private static final int VMDK_DESCRIPTOR_SECTORS = 36;

  private static final int MBR_PARTITIONS = 446;
  private static final int MBR_SIGNATURE = 510;
  private static final int GPT_PROTECTIVE = 0xee;
  private static final int GPT_ALTERNATE_LBA = SECTOR_BYTES + 32;

  private final Path file;
  private final long sizeBytes;
  private final ByteBuffer head;

  private ImageInspector(Path file, long sizeBytes, ByteBuffer head) {
    this.file = file;
    this.sizeBytes = sizeBytes;
    this.head = head;
  }

  /**
   * The format of the file.
   *
   * @param asked what the user says it is; unknown bytes are taken for raw only then
   */
  static ImageFormat inspect(Path file, Optional<ImageFormat> asked) throws IOException {
    if (!Files.exists(file)) {
      throw new ImageException(
          Reason.FILE_MISSING, "image file " + file + " does not exist", "check the path");
    }
    if (!Files.isRegularFile(file)) {
      throw new ImageException(
          Reason.NOT_A_FILE, file + " is not a regular file", "give the path of an image file");
    }
    if (!Files.isReadable(file)) {
      throw new ImageException(
          Reason.NOT_READABLE,
          "image file " + file + " is not readable by the server",
          "change its permissions or copy it");
    }
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      long size = channel.size();
      if (size == 0) {
        throw new ImageException(
            Reason.EMPTY, "image file " + file + " is empty", "download or build it again");
      }
      ByteBuffer head = ByteBuffer.allocate(HEAD_BYTES);
      while (head.hasRemaining() && channel.read(head, head.position()) >= 0) {
        // Until full or at the end.
      }
      // The rest of a shorter file counts as zeroes, which no magic number matches.
      return new ImageInspector(file, size, head.clear()).format(asked);
    }
  }

  private ImageFormat format(Optional<ImageFormat> asked) throws ImageException {
    ImageFormat found = recognise(asked);
    if (asked.isPresent() && asked.get() != found) {
      throw new ImageException(
          Reason.NOT_AN_IMAGE,
          "image file %s is %s, not %s".formatted(file, found.label(), asked.get().label()),
          "leave the format out or say " + found.label());
    }
    switch (found) {
      case QCOW2 -> checkQcow2();
      case VMDK -> checkVmdk();
      case RAW -> checkPartitions();
      case VHDX -> {}
    }
    return found;
  }

  private ImageFormat recognise(Optional<ImageFormat> asked) throws ImageException {
    if (head.getInt(0) == QCOW2_MAGIC) {
      return ImageFormat.QCOW2;
    }
    if (head.getInt(0) == VMDK_MAGIC) {
      return ImageFormat.VMDK;
    }
    if (startsWith("vhdxfile")) {
      return ImageFormat.VHDX;
    }
    refuseKnownOthers();
    if (asked.isPresent() && asked.get() != ImageFormat.RAW) {
      throw new ImageException(
          Reason.NOT_AN_IMAGE,
          "image file %s is not %s: its first bytes say otherwise"
              .formatted(file, asked.get().label()),
          "check the file, or leave the format out");
    }
    if (asked.isEmpty() && !looksLikeDisk()) {
      throw new ImageException(
          Reason.NOT_AN_IMAGE,
          "file "
              + file
              + " is not an image: no qcow2, vmdk or vhdx header, no partition table, no file system",
          "if it is the plain content of a disk all the same, say format raw");
    }
    return ImageFormat.RAW;
  }

  private void refuseKnownOthers() throws ImageException {
    if (startsWith("# Disk DescriptorFile") || startsWith("COWD")) {
      throw new ImageException(
          Reason.UNSUPPORTED_FORMAT,
          "image file " + file + " is a vmdk whose data lies in other files",
          "convert it with: qemu-img convert -O qcow2");
    }
    if (startsWith("conectix") || startsWith("QED\0") || startsWith("<<< ")) {
      throw new ImageException(
          Reason.UNSUPPORTED_FORMAT,
          "image file " + file + " has a format that is not supported",
          "convert it with: qemu-img convert -O qcow2");
    }
    int first = head.getInt(0);
    boolean compressed =
        first >>> 16 == 0x1f8b // gzip
            || first == 0xfd377a58 // xz
            || first == 0x28b52ffd // zstd
            || first >>> 8 == 0x425a68 // bzip2
            || first == 0x504b0304; // zip
    if (compressed) {
      throw new ImageException(
          Reason.NOT_AN_IMAGE, "image file " + file + " is compressed", "decompress it first");
    }
  }

  private boolean startsWith(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.ISO_8859_1);
    return ByteBuffer.wrap(bytes).equals(head.slice(0, bytes.length));
  }

  private boolean looksLikeDisk() {
    boolean bootSector = (head.getShort(MBR_SIGNATURE) & 0xffff) == 0x55aa;
    boolean ext = (head.getShort(1024 + 56) & 0xffff) == 0x53ef;
    boolean iso =
        head.slice(32 << 10, 6).equals(ByteBuffer.wrap(new byte[] {1, 'C', 'D', '0', '0', '1'}));
    boolean xfs = startsWith("XFSB");
    boolean squash = startsWith("hsqs");
    boolean blank = head.slice(0, 4096).mismatch(ByteBuffer.allocate(4096)) < 0;
    return bootSector || ext || iso || xfs || squash || (blank && sizeBytes >= 4096);
  }

  private void checkQcow2() throws ImageException {
    int version = head.getInt(4);
    if (sizeBytes < QCOW2_FEATURES || version < 2) {
      throw truncated("its qcow2 header is cut off");
    }
    if (head.getLong(QCOW2_BACKING_OFFSET) != 0) {
      throw hasBackingFile();
    }
    if (version >= 3 && (head.getLong(QCOW2_FEATURES) & QCOW2_EXTERNAL_DATA) != 0) {
      throw new ImageException(
          Reason.UNSUPPORTED_FORMAT,
          "image file " + file + " keeps its data in another file",
          "convert it with: qemu-img convert -O qcow2");
    }
    long virtual = head.getLong(QCOW2_SIZE);
    if (virtual <= 0 || virtual > VolumeStore.MAX_SIZE_BYTES) {
      throw new ImageException(
          Reason.DAMAGED,
          "image file %s claims a size of %d bytes".formatted(file, virtual),
          "download or build it again");
    }
  }

  private void checkVmdk() throws ImageException {
    ByteBuffer header = head.duplicate().order(ByteOrder.LITTLE_ENDIAN);
    if (header.getLong(VMDK_CAPACITY) <= 0) {
      throw new ImageException(
          Reason.UNSUPPORTED_FORMAT,
          "image file " + file + " is a vmdk whose data lies in other files",
          "convert it with: qemu-img convert -O qcow2");
    }
    long start = header.getLong(VMDK_DESCRIPTOR_SECTOR) * SECTOR_BYTES;
    long length = header.getLong(VMDK_DESCRIPTOR_SECTORS) * SECTOR_BYTES;
    if (start < 0 || length < 0 || start > HEAD_BYTES || length > HEAD_BYTES - start) {
      throw new ImageException(
          Reason.UNSUPPORTED_FORMAT,
          "image file " + file + " has its vmdk descriptor in an unusual place",
          "convert it with: qemu-img convert -O qcow2");
    }
    byte[] descriptor = new byte[(int) length];
    head.get((int) start, descriptor);
    if (new String(descriptor, StandardCharsets.ISO_8859_1).contains("parentFileNameHint")) {
      throw hasBackingFile();
    }
  }

  /** A partition table tells how long the disk was when it was whole. */
  private void checkPartitions() throws ImageException {
    if ((head.getShort(MBR_SIGNATURE) & 0xffff) != 0x55aa) {
      return;
    }
    ByteBuffer table = head.duplicate().order(ByteOrder.LITTLE_ENDIAN);
    if (head.slice(SECTOR_BYTES, 8)
        .equals(ByteBuffer.wrap("EFI PART".getBytes(StandardCharsets.US_ASCII)))) {
      requireSectors(table.getLong(GPT_ALTERNATE_LBA) + 1);
      return;
    }
    for (int i = 0; i < 4; i++) {
      int entry = MBR_PARTITIONS + 16 * i;
      int status = head.get(entry) & 0xff;
      if (status != 0 && status != 0x80) {
        // A boot sector without a partition table: a file system on the whole disk.
        return;
      }
      int type = head.get(entry + 4) & 0xff;
      if (type != 0 && type != GPT_PROTECTIVE) {
        long first = table.getInt(entry + 8) & 0xffffffffL;
        long count = table.getInt(entry + 12) & 0xffffffffL;
        requireSectors(first + count);
      }
    }
  }

  private void requireSectors(long sectors) throws ImageException {
    if (sectors > (sizeBytes + SECTOR_BYTES - 1) / SECTOR_BYTES) {
      throw truncated(
          "its partition table needs %d bytes, it has %d"
              .formatted(sectors * SECTOR_BYTES, sizeBytes));
    }
  }

  private ImageException truncated(String why) {
    return new ImageException(
        Reason.TRUNCATED,
        "image file %s is truncated: %s".formatted(file, why),
        "download or copy it again");
  }

  private ImageException hasBackingFile() {
    return new ImageException(
        Reason.HAS_BACKING_FILE,
        "image file " + file + " is only the difference to a backing file",
        "flatten it first with: qemu-img convert -O qcow2 %s flat.qcow2"
            .formatted(file.getFileName()));
  }
}

package io.malleable.image;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Optional;

/**
 * A partition and what is on it.
 *
 * @param type of the file system or whatever is there, as {@code blkid} calls it; empty for nothing
 * @param files absent when it cannot be looked into
 * @param obstacle why it cannot; empty when it can or when nothing is there
 */
record DriveArea(
    Partition partition,
    Drive drive,
    String type,
    String uuid,
    String label,
    Optional<FileSystem> files,
    String obstacle) {
  private static final int HEAD_BYTES = 80 << 10;
  private static final int BTRFS_SUPER = 64 << 10;

  /** What lies there by its magic number. */
  private record Known(String type, String uuid, String label) {}

  static DriveArea of(Drive whole, Partition partition) throws IOException {
    Drive drive = whole.part(partition.startBytes(), partition.lengthBytes());
    ByteBuffer head = drive.head(HEAD_BYTES);
    try {
      Optional<FileSystem> files = open(drive, head);
      if (files.isPresent()) {
        FileSystem found = files.get();
        return new DriveArea(
            partition, drive, found.type(), found.uuid(), found.label(), files, "");
      }
    } catch (DamagedException | UnreadableException e) {
      String type = isExt(head) ? "ext4" : "vfat";
      return new DriveArea(
          partition, drive, type, "", "", Optional.empty(), String.valueOf(e.getMessage()));
    }
    Known known = recognise(head);
    String obstacle = known.type().isEmpty() ? "" : "this program does not read " + known.type();
    return new DriveArea(
        partition, drive, known.type(), known.uuid(), known.label(), Optional.empty(), obstacle);
  }

  private static boolean isExt(ByteBuffer head) {
    return (head.getShort(Ext.MAGIC_OFFSET) & 0xffff) == Ext.MAGIC;
  }

  private static Optional<FileSystem> open(Drive drive, ByteBuffer head) throws IOException {
    if (isExt(head)) {
      return Optional.of(Ext.open(drive));
    }
    return Fat.looksLike(head.slice(0, 512).order(head.order()))
        ? Optional.of(Fat.open(drive))
        : Optional.empty();
  }

  private static Known recognise(ByteBuffer head) {
    if (text(head, 0, 4).equals("XFSB")) {
      return new Known("xfs", uuid(head, 32), text(head, 108, 12));
    }
    if (text(head, BTRFS_SUPER + 0x40, 8).equals("_BHRfS_M")) {
      return new Known(
          "btrfs", uuid(head, BTRFS_SUPER + 0x20), text(head, BTRFS_SUPER + 0x12b, 256));
    }
    if (text(head, 0, 4).equals("LUKS")) {
      return new Known("crypto_LUKS", text(head, 168, 40), "");
    }
    for (int sector = 0; sector < 4; sector++) {
      if (text(head, sector * 512, 8).equals("LABELONE")) {
        return new Known("LVM2_member", "", "");
      }
    }
    if (text(head, 4086, 10).equals("SWAPSPACE2")) {
      return new Known("swap", uuid(head, 1036), text(head, 1052, 16));
    }
    if (text(head, 32769, 5).equals("CD001")) {
      return new Known("iso9660", "", text(head, 32808, 32).strip());
    }
    if (text(head, 3, 8).equals("NTFS    ")) {
      return new Known("ntfs", "", "");
    }
    if (text(head, 0, 4).equals("hsqs")) {
      return new Known("squashfs", "", "");
    }
    if (head.getInt(1024) == 0xf2f52010) {
      return new Known("f2fs", "", "");
    }
    if (head.getInt(4096) == 0xa92b4efc || head.getInt(0) == 0xa92b4efc) {
      return new Known("linux_raid_member", "", "");
    }
    return new Known("", "", "");
  }

  private static String text(ByteBuffer bytes, int at, int length) {
    byte[] name = new byte[length];
    bytes.get(at, name);
    String text = new String(name, StandardCharsets.UTF_8);
    int end = text.indexOf('\0');
    return end < 0 ? text : text.substring(0, end);
  }

  private static String uuid(ByteBuffer bytes, int at) {
    return new java.util.UUID(
            Long.reverseBytes(bytes.getLong(at)), Long.reverseBytes(bytes.getLong(at + 8)))
        .toString();
  }

  /** Whether a device as in {@code root=} or fstab is this one; names like /dev/sda1 never are. */
  boolean isNamedBy(String device) {
    String path = device.replaceFirst("^/dev/disk/by-(\\w+)/", "$1=");
    int equals = path.indexOf('=');
    if (equals < 0) {
      return false;
    }
    String value = path.substring(equals + 1);
    return switch (path.substring(0, equals).toLowerCase(Locale.ROOT)) {
      case "uuid" -> !value.isEmpty() && value.equalsIgnoreCase(uuid);
      case "label" -> !value.isEmpty() && value.equals(label);
      case "partuuid" -> !value.isEmpty() && value.equalsIgnoreCase(partition.uuid());
      case "partlabel" -> !value.isEmpty() && value.equals(partition.label());
      default -> false;
    };
  }

  /** For people: where and what it is. */
  String name() {
    return type.isEmpty() ? partition.name() : partition.name() + " (" + type + ")";
  }
}

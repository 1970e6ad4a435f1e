package io.malleable.image;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** A drive that was taken apart. */
record Inspected(Drive drive, PartitionTable table, List<DriveArea> areas) {
  /** What is read of a text file at most. */
  static final int MAX_TEXT_BYTES = 512 << 10;

  private static final List<String> SYSTEM_MARKS =
      List.of("/etc/os-release", "/usr/lib/os-release", "/etc/fstab", "/sbin/init");

  static Inspected of(Drive drive) throws IOException {
    PartitionTable table = PartitionTable.read(drive);
    List<DriveArea> areas = new ArrayList<>();
    if (table.kind() == PartitionTable.Kind.NONE) {
      areas.add(DriveArea.of(drive, new Partition(0, "", 0, drive.sizeBytes(), false, "", "")));
    }
    for (Partition partition : table.partitions()) {
      if (partition.startBytes() < drive.sizeBytes()) {
        areas.add(DriveArea.of(drive, partition));
      }
    }
    return new Inspected(drive, table, List.copyOf(areas));
  }

  /** Whether it is a name that a file system or a partition has wherever the drive appears. */
  static boolean isName(String device) {
    return device.matches("(?i)(UUID|LABEL|PARTUUID|PARTLABEL)=.*|/dev/disk/by-.*");
  }

  /** Whether nothing here has that name, as far as everything here can be named. */
  boolean lacks(String device) throws IOException {
    return named(device).isEmpty() && closed().stream().noneMatch(area -> area.uuid().isEmpty());
  }

  /** Where a device name leads. */
  Optional<DriveArea> named(String device) throws IOException {
    if (device.startsWith("FILE=")) {
      for (DriveArea area : areas) {
        if (area.files().isPresent()
            && area.files().get().find(device.substring("FILE=".length())).isPresent()) {
          return Optional.of(area);
        }
      }
      return Optional.empty();
    }
    return areas.stream().filter(area -> area.isNamedBy(device)).findFirst();
  }

  /** The file system that looks like the root of a system. */
  Optional<DriveArea> system() throws IOException {
    for (DriveArea area : areas) {
      if (area.files().isPresent() && !area.type().equals("vfat")) {
        for (String mark : SYSTEM_MARKS) {
          if (area.files().get().find(mark).isPresent()) {
            return Optional.of(area);
          }
        }
      }
    }
    return Optional.empty();
  }

  /** Areas with something in them that cannot be looked into. */
  List<DriveArea> closed() {
    return areas.stream()
        .filter(area -> !area.obstacle().isEmpty() && !area.type().equals("swap"))
        .toList();
  }

  /** A text file; empty when it is not there. */
  static String text(FileSystem files, String path) throws IOException {
    return files
        .read(path, MAX_TEXT_BYTES)
        .map(bytes -> new String(bytes, StandardCharsets.UTF_8))
        .orElse("");
  }
}

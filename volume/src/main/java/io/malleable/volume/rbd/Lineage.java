package io.malleable.volume.rbd;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import io.malleable.volume.VolumeInfo;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * What an image's metadata {@code m2.volume} says; the grammar is in {@code docs/formats/rbd.md}.
 *
 * @param parent what {@link VolumeInfo#parent()} gives
 * @param snapshotOf the disk, for a snapshot
 */
record Lineage(Optional<UUID> parent, Optional<UUID> snapshotOf) {
  private static final int VERSION = 1;

  static Lineage root() {
    return new Lineage(Optional.empty(), Optional.empty());
  }

  static Lineage cloneOf(UUID parent) {
    return new Lineage(Optional.of(parent), Optional.empty());
  }

  String format() {
    return VERSION + " " + format(parent) + " " + format(snapshotOf);
  }

  /**
   * Reads the metadata of the image {@code name}.
   *
   * @throws VolumeException {@code CORRUPT} when this is not a record of any version, {@code
   *     FORMAT_TOO_NEW} when it is one of a version yet to come
   */
  static Lineage parse(String name, String text) throws VolumeException {
    String[] fields = text.split(" ", -1);
    int version;
    try {
      version = Integer.parseInt(fields[0]);
    } catch (NumberFormatException e) {
      throw corrupt(name, text, e);
    }
    if (version > VERSION) {
      throw new VolumeException(
          Reason.FORMAT_TOO_NEW,
          "image "
              + name
              + " has a record of version "
              + version
              + "; this program knows "
              + VERSION
              + ": use the newer program that wrote it");
    }
    if (version < VERSION || fields.length != 3) {
      throw corrupt(name, text, null); // version 1 was the first
    }
    try {
      return new Lineage(parse(fields[1]), parse(fields[2]));
    } catch (IllegalArgumentException e) {
      throw corrupt(name, text, e);
    }
  }

  /** Of the image {@code name}, whose metadata is longer than any record. */
  static VolumeException tooLong(String name) {
    return new VolumeException(
        Reason.CORRUPT, "image " + name + " has metadata m2.volume that is too long for a record");
  }

  private static VolumeException corrupt(String name, String text, @Nullable Exception cause) {
    String message = "image " + name + " has the metadata m2.volume=\"" + text + "\"";
    return cause == null
        ? new VolumeException(Reason.CORRUPT, message)
        : new VolumeException(Reason.CORRUPT, message, cause);
  }

  private static String format(Optional<UUID> id) {
    return id.map(UUID::toString).orElse("-");
  }

  private static Optional<UUID> parse(String field) {
    return field.equals("-") ? Optional.empty() : Optional.of(UUID.fromString(field));
  }
}

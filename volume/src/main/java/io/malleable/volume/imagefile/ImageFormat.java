package io.malleable.volume.imagefile;

import java.util.Locale;
import java.util.Optional;

/** Formats of image files that can be read; raw and qcow2 can be written too. */
public enum ImageFormat {
  RAW,
  QCOW2,
  VMDK,
  VHDX;

  /** The name that {@code qemu-img} and users know it by. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** The format with that name, in any case. */
  public static Optional<ImageFormat> ofLabel(String label) {
    for (ImageFormat format : values()) {
      if (format.label().equals(label.toLowerCase(Locale.ROOT))) {
        return Optional.of(format);
      }
    }
    return Optional.empty();
  }
}

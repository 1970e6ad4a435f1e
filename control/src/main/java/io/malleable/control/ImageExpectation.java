package io.malleable.control;

import java.util.Optional;

/**
 * What the caller says of an image file; absent means find out.
 *
 * @param format raw, qcow2, vmdk or vhdx
 * @param sha256 of the file, lower-case hexadecimal
 */
public record ImageExpectation(Optional<String> format, Optional<String> sha256) {
  public static final ImageExpectation NONE =
      new ImageExpectation(Optional.empty(), Optional.empty());

  public static ImageExpectation ofFormat(String format) {
    return new ImageExpectation(Optional.of(format), Optional.empty());
  }
}

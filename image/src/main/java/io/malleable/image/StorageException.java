package io.malleable.image;

import java.io.IOException;

/** The drive below could not be read, which says nothing about what is on it. */
final class StorageException extends IOException {
  private static final long serialVersionUID = 1;

  private final IOException failure;

  StorageException(IOException failure) {
    super(failure);
    this.failure = failure;
  }

  IOException failure() {
    return failure;
  }
}

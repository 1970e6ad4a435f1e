package io.malleable.image;

import java.io.IOException;
import java.io.InputStream;
import java.util.List;
import java.util.Optional;

/** A file system that can be looked into. Paths begin with a slash; links are followed. */
interface FileSystem {
  /** As {@code blkid} calls it. */
  String type();

  /** As in {@code UUID=}; empty when there is none. */
  String uuid();

  /** As in {@code LABEL=}; empty when there is none. */
  String label();

  /** What is there under the path. */
  Optional<Entry> find(String path) throws IOException;

  /** The names in a directory in order; empty when it is none. */
  List<String> list(String path) throws IOException;

  /** The bytes of a file. */
  InputStream open(Entry entry) throws IOException;

  /**
   * A file or directory.
   *
   * @param id how the file system knows it
   */
  record Entry(Type type, long sizeBytes, long id) {
    boolean isFile() {
      return type == Type.FILE;
    }

    boolean isDirectory() {
      return type == Type.DIRECTORY;
    }
  }

  /** Links are followed before anybody sees them, unless they lead nowhere. */
  enum Type {
    FILE,
    DIRECTORY,
    OTHER
  }

  /**
   * The beginning of a file.
   *
   * @return empty when there is no such file
   */
  default Optional<byte[]> read(String path, int maxBytes) throws IOException {
    Optional<Entry> entry = find(path);
    if (entry.isEmpty() || !entry.get().isFile()) {
      return Optional.empty();
    }
    try (InputStream in = open(entry.get())) {
      return Optional.of(in.readNBytes(maxBytes));
    }
  }
}

package io.malleable.volume.local;

import java.io.IOException;
import java.util.List;
import java.util.UUID;

/**
 * The files below a store's directory. Names are {@code directory/file}. This is the only way by
 * which the store touches the disk, so that tests can cut the power or fail the device at any call.
 *
 * <p>Creating, renaming and deleting are durable only after {@link #syncDirectory}.
 */
interface StoreFiles {
  void createDirectory(String directory) throws IOException;

  /** Names of the files in a directory, in no particular order. */
  List<String> list(String directory) throws IOException;

  boolean exists(String name) throws IOException;

  /** Creates an empty file, replacing what was there. */
  StoreFile create(String name) throws IOException;

  /**
   * Opens a file that exists; the file is touched at the first read or write, not before. When it
   * does not exist, this or the first use throws {@code NoSuchFileException}.
   */
  StoreFile open(String name) throws IOException;

  /** Replaces {@code to} in one step. */
  void rename(String from, String to) throws IOException;

  /** Absent files are no error. */
  void delete(String name) throws IOException;

  void syncDirectory(String directory) throws IOException;

  /**
   * Changes with every boot of the host: what was written in the same one and not synced is there.
   */
  UUID bootId() throws IOException;

  /** What can still be written to the storage below. */
  long availableBytes() throws IOException;

  /** What the storage below could hold in all. */
  long totalBytes() throws IOException;
}

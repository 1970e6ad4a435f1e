package io.malleable.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/** Reads the whole store of a server that is stopped, and compares it with its checksums. */
public interface StoreCheck {

  /**
   * What was found.
   *
   * @param checkedBytes data that was compared with its checksums
   * @param uncheckedBytes data that has none yet, and was only read
   * @param damages what is not as it was written, and which volumes depend on it; empty when all is
   *     well
   */
  record Report(long checkedBytes, long uncheckedBytes, List<String> damages) {}

  /** Told how far it is. */
  interface Progress {
    /** Bytes that are read, of all. */
    void onProgress(long doneBytes, long totalBytes);
  }

  /**
   * Looks whether what the server's store needs elsewhere is there; changes nothing. Nothing is
   * found for a store that needs nothing, and where no server has started yet.
   */
  default List<Finding> examine(Path data) throws IOException {
    return List.of();
  }

  /**
   * Checks the store in the data directory of a server.
   *
   * @throws CommandFailure when there is none, a server uses it, or only others can check it
   */
  Report check(Path data, Progress progress) throws IOException;
}

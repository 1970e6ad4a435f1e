package io.malleable.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** Looks inside an image file of this machine and says what would stop it from booting. */
public interface ImageCheck {

  /**
   * What to look at.
   *
   * @param format what the user says it is; absent means find out
   * @param firmware bios or uefi when it must boot with that one
   * @param scratch directory with room for the plain content of an image that is packed
   */
  record Question(Path file, Optional<String> format, Optional<String> firmware, Path scratch) {}

  /**
   * What was found; the same words as the server's.
   *
   * @param verdict boots, blocked or unknown
   * @param system empty when it is not known
   * @param kernel empty when it is not known
   */
  record Report(
      String verdict,
      List<String> firmware,
      String system,
      String kernel,
      List<Finding> findings) {}

  /**
   * One thing that was found.
   *
   * @param severity blocks, unknown, warning or note
   * @param fix empty when nothing has to be done
   */
  record Finding(String severity, String code, String what, String why, String fix) {}

  /** Told how far it is. */
  interface Progress {
    /** Bytes that are unpacked, of all. */
    void onProgress(long doneBytes, long totalBytes);
  }

  /**
   * Looks inside.
   *
   * @throws CommandFailure when the file is no image
   */
  Report check(Question question, Progress progress) throws IOException;
}

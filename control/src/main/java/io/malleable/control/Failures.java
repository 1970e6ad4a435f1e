package io.malleable.control;

import io.malleable.volume.VolumeException;
import java.io.IOException;
import java.nio.file.NoSuchFileException;

/** The one mapping from what fails below to our codes. */
final class Failures {
  private Failures() {}

  static ControlException of(Throwable cause) {
    return switch (cause) {
      case ControlException known -> known;
      case VolumeException volume -> ofVolume(volume).causedBy(volume);
      case IOException io ->
          ControlException.of(
                  ErrorCode.IO_FAILED,
                  "Input or output failed: " + message(io),
                  "Check the data directory, its disk and the server's log, then repeat.")
              .causedBy(io);
      default ->
          ControlException.of(
                  ErrorCode.INTERNAL,
                  "A defect of the server: " + cause.getClass().getSimpleName() + ".",
                  "Please report it together with the server's log.")
              .causedBy(cause);
    };
  }

  private static ControlException ofVolume(VolumeException e) {
    String message = message(e);
    return switch (e.reason()) {
      case OUT_OF_SPACE ->
          ControlException.of(
              ErrorCode.OUT_OF_SPACE,
              "The store has no space left: " + message,
              "Delete disks, snapshots or images that are not needed, or add space.");
      case TOO_FRAGMENTED ->
          ControlException.of(
              ErrorCode.OUT_OF_SPACE,
              "The server has no memory left for the map of the disk: " + message,
              "Give the server more memory, or copy the disk to a new one.");
      case IN_USE ->
          ControlException.of(
              ErrorCode.DISK_IN_USE,
              "The volume is in use: " + message,
              "Withdraw the disk or release its node, or wait until the image was exported or checked;"
                  + " then repeat.");
      case INVALID_SIZE ->
          ControlException.of(
              ErrorCode.SIZE_INVALID,
              "The size cannot be used: " + message,
              "Use a multiple of 512 that is not smaller than the size now.");
      case NOT_A_SNAPSHOT_OF_DISK ->
          ControlException.of(
              ErrorCode.SNAPSHOT_OF_OTHER_DISK,
              "The snapshot is not one of this disk: " + message,
              "Choose a snapshot of the disk itself.");
      case HAS_DEPENDANTS ->
          ControlException.of(
              ErrorCode.IMAGE_HAS_CLONES,
              "Something was cloned from it: " + message,
              "Delete or flatten the clones first.");
      case CORRUPT, NOT_FOUND, ALREADY_EXISTS, NOT_SEALED, SEALED ->
          ControlException.of(
              ErrorCode.STORE_CORRUPT,
              "The store and the database disagree: " + message,
              "Run 'm2 doctor --verify' and keep the server's log.");
      case CANCELLED -> ControlException.of(ErrorCode.ABORTED, "Aborted on request.");
      case FORMAT_TOO_OLD, FORMAT_TOO_NEW, UNAVAILABLE -> storeUnavailable(message);
    };
  }

  /** Whether it says that one volume cannot be used, now or later, and nothing of the others. */
  static boolean isDamage(Throwable cause) {
    return switch (cause) {
      case VolumeException volume ->
          switch (volume.reason()) {
            case CORRUPT, NOT_FOUND, FORMAT_TOO_OLD, FORMAT_TOO_NEW -> true;
            case ALREADY_EXISTS, IN_USE, HAS_DEPENDANTS, NOT_SEALED, SEALED -> false;
            case INVALID_SIZE, NOT_A_SNAPSHOT_OF_DISK, CANCELLED -> false;
            case OUT_OF_SPACE, TOO_FRAGMENTED, UNAVAILABLE -> false;
          };
      case NoSuchFileException _ -> true;
      default -> false;
    };
  }

  static ControlException storeUnavailable(String why) {
    return ControlException.of(
        ErrorCode.STORE_UNAVAILABLE,
        "The store cannot be used: " + why,
        "Run 'm2 doctor' on the server.");
  }

  static String message(Throwable e) {
    return e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
  }
}

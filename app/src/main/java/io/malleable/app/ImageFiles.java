package io.malleable.app;

import io.malleable.control.ControlException;
import io.malleable.control.ErrorCode;
import io.malleable.control.ImageExpectation;
import io.malleable.control.ImageFacts;
import io.malleable.control.ImageImports;
import io.malleable.control.ImageSource;
import io.malleable.volume.TransferProgress;
import io.malleable.volume.imagefile.ImageException;
import io.malleable.volume.imagefile.ImageFormat;
import io.malleable.volume.imagefile.ImageImporter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.UUID;

/** Images from files of this machine, uploads and downloads. */
final class ImageFiles implements ImageImports {
  /** Of the progress of an import from a URL, the part that the download makes. */
  private static final double DOWNLOADED = 0.5;

  private final ImageImporter importer;
  private final Download downloads;

  ImageFiles(ImageImporter importer, Download downloads) {
    this.importer = importer;
    this.downloads = downloads;
  }

  @Override
  public void check(ImageSource source, Optional<String> format) {
    Optional<ImageFormat> asked = format(format);
    Optional<Path> file =
        switch (source) {
          case ImageSource.LocalFile local -> Optional.of(local.path());
          case ImageSource.Upload upload -> Optional.of(upload.path());
          case ImageSource.Download _ -> Optional.empty();
        };
    if (file.isEmpty()) {
      return;
    }
    try {
      ImageFormat _ = importer.inspect(file.get(), asked);
    } catch (ImageException e) {
      throw refused(source, file.get(), e);
    } catch (IOException e) {
      throw ControlException.of(
              ErrorCode.IO_FAILED, "The image file cannot be read.", "See the server's log.")
          .causedBy(e);
    }
  }

  @Override
  public ImageFacts importInto(
      UUID volume, ImageSource source, ImageExpectation expected, ImportProgress progress)
      throws IOException {
    try {
      return switch (source) {
        case ImageSource.LocalFile local -> importFile(volume, local.path(), expected, progress, 0);
        case ImageSource.Upload upload -> importFile(volume, upload.path(), expected, progress, 0);
        case ImageSource.Download download -> {
          Path file =
              downloads.fetch(
                  download.url(),
                  volume,
                  part -> progress.onProgress(part * DOWNLOADED),
                  progress::isCancelled);
          try {
            yield importFile(volume, file, expected, progress, DOWNLOADED);
          } finally {
            Files.deleteIfExists(file);
          }
        }
      };
    } catch (ImageException e) {
      Path file =
          switch (source) {
            case ImageSource.LocalFile local -> local.path();
            case ImageSource.Upload upload -> upload.path();
            case ImageSource.Download _ -> downloads.file(volume);
          };
      throw refused(source, file, e);
    }
  }

  private ImageFacts importFile(
      UUID volume, Path file, ImageExpectation expected, ImportProgress progress, double begun)
      throws IOException {
    ImageImporter.Imported imported =
        importer.importFile(
            volume,
            file,
            format(expected.format()),
            expected.sha256(),
            new TransferProgress() {
              @Override
              public void onProgress(long doneBytes, long totalBytes) {
                double part = totalBytes == 0 ? 1 : (double) doneBytes / totalBytes;
                progress.onProgress(begun + part * (1 - begun));
              }

              @Override
              public boolean cancelled() {
                return progress.isCancelled();
              }
            });
    return new ImageFacts(
        imported.volume().sizeBytes(), imported.format().label(), imported.sha256().orElse(""));
  }

  private static Optional<ImageFormat> format(Optional<String> label) {
    return label.flatMap(ImageFormat::ofLabel);
  }

  private static ControlException refused(ImageSource source, Path file, ImageException e) {
    ErrorCode code =
        switch (e.reason()) {
          case FILE_MISSING -> ErrorCode.IMAGE_SOURCE_MISSING;
          case UNSUPPORTED_FORMAT, HAS_BACKING_FILE -> ErrorCode.IMAGE_SOURCE_UNSUPPORTED;
          case CANCELLED -> ErrorCode.ABORTED;
          case TOO_LARGE -> ErrorCode.OUT_OF_SPACE;
          case TOOL_MISSING, TOOL_FAILED -> ErrorCode.IO_FAILED;
          case CHECKSUM_WRONG -> ErrorCode.CHECKSUM_WRONG;
          case NOT_A_FILE,
              NOT_READABLE,
              EMPTY,
              NOT_AN_IMAGE,
              TRUNCATED,
              DAMAGED,
              CHANGED_MEANWHILE ->
              ErrorCode.IMAGE_INVALID;
        };
    return ControlException.ofField(
            code,
            "source",
            source.description(),
            known(String.valueOf(e.getMessage()), source, file, source.description()),
            known(e.hint(), source, file, "FILE"))
        .causedBy(e);
  }

  /** Files of ours on the way mean nothing to the caller. */
  private static String known(String text, ImageSource source, Path file, String instead) {
    return switch (source) {
      case ImageSource.LocalFile _ -> text;
      case ImageSource.Upload _, ImageSource.Download _ -> text.replace(file.toString(), instead);
    };
  }
}

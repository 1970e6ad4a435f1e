package io.malleable.app;

import io.malleable.cli.CommandFailure;
import io.malleable.cli.ImageCheck;
import io.malleable.image.BootCheck;
import io.malleable.image.BootFirmware;
import io.malleable.image.BootReport;
import io.malleable.image.DriveContent;
import io.malleable.volume.TransferProgress;
import io.malleable.volume.imagefile.ImageConverter;
import io.malleable.volume.imagefile.ImageException;
import io.malleable.volume.imagefile.ImageFormat;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** Looks inside image files of this machine; what is not raw is converted for it. */
final class LocalImageCheck implements ImageCheck {

  @Override
  public Report check(Question question, Progress progress) throws IOException {
    Optional<ImageFormat> asked = question.format().flatMap(ImageFormat::ofLabel);
    Optional<BootFirmware> firmware =
        question.firmware().map(f -> BootFirmware.valueOf(f.toUpperCase(Locale.ROOT)));
    try {
      ImageFormat format = ImageConverter.inspect(question.file(), asked);
      return format == ImageFormat.RAW
          ? look(question.file(), firmware)
          : lookAtCopy(question, format, firmware, progress);
    } catch (ImageException e) {
      throw new CommandFailure(String.valueOf(e.getMessage()), sentence(e.hint()), e);
    }
  }

  private static Report lookAtCopy(
      Question question, ImageFormat format, Optional<BootFirmware> firmware, Progress progress)
      throws IOException {
    Path directory = Files.createTempDirectory(question.scratch(), "m2-check-");
    Path raw = directory.resolve("raw");
    try {
      ImageConverter.toRaw(question.file(), format, raw, watched(progress));
      return look(raw, firmware);
    } finally {
      Files.deleteIfExists(raw);
      Files.delete(directory);
    }
  }

  private static TransferProgress watched(Progress progress) {
    return new TransferProgress() {
      @Override
      public void onProgress(long doneBytes, long totalBytes) {
        progress.onProgress(doneBytes, totalBytes);
      }

      @Override
      public boolean cancelled() {
        return false;
      }
    };
  }

  private static Report look(Path raw, Optional<BootFirmware> firmware) throws IOException {
    try (FileChannel channel = FileChannel.open(raw)) {
      BootReport report = BootCheck.check(DriveContent.of(channel), firmware);
      List<Finding> findings =
          report.findings().stream()
              .map(f -> new Finding(word(f.severity()), f.code(), f.what(), f.why(), f.fix()))
              .toList();
      List<String> loaders =
          Arrays.stream(BootFirmware.values())
              .filter(report.firmware()::contains)
              .map(LocalImageCheck::word)
              .toList();
      return new Report(
          word(report.verdict()), loaders, report.system(), report.kernel(), findings);
    }
  }

  private static String word(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT);
  }

  private static String sentence(String hint) {
    return Character.toUpperCase(hint.charAt(0)) + hint.substring(1) + ".";
  }
}

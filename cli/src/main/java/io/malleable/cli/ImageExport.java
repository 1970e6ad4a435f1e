package io.malleable.cli;

import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/** {@code m2 image export}: the file appears under its name only when it is whole. */
final class ImageExport extends ServerCommand {
  private final Argument name = arguments.parameter("IMAGE", "");
  private final Argument file = arguments.parameter("FILE", "to write; must not exist yet");
  private final Argument format =
      arguments.option("--format", "FORMAT", "qcow2", "qcow2 (the default) or raw");

  ImageExport() {
    super("Writes an image to a file");
  }

  @Override
  protected void run() {
    String wanted = format.oneOf("qcow2", "raw");
    Path target = Path.of(file.text());
    if (Files.exists(target)) {
      throw new CommandFailure(target + " exists already", "Choose another name, or remove it.");
    }
    Path part = target.resolveSibling(target.getFileName() + ".part");
    try {
      try (OutputStream out = new Target(part);
          ProgressLine line = new ProgressLine(terminal(), err(), "export " + name.text())) {
        api()
            .download(
                out,
                (bytes, total) -> show(line, bytes, total),
                "/v1/images/{}/content?format={}",
                name.text(),
                wanted);
      }
      Files.move(part, target, StandardCopyOption.ATOMIC_MOVE);
      long sizeBytes = Files.size(target);
      out().println("image " + name.text() + " is in " + target + ": " + Sizes.format(sizeBytes));
    } catch (IOException e) {
      throw Target.failed(part, e);
    } finally {
      remove(part);
    }
  }

  private static void show(ProgressLine line, long bytes, long total) {
    line.show(
        total <= 0 ? 0 : (double) bytes / total,
        Sizes.format(bytes) + (total < 0 ? "" : " of " + Sizes.format(total)));
  }

  private static void remove(Path part) {
    try {
      Files.deleteIfExists(part);
    } catch (IOException e) {
      throw Target.failed(part, e);
    }
  }

  /** Tells a full disk here from a server that went away. */
  private static final class Target extends FilterOutputStream {
    private final Path file;

    Target(Path file) throws IOException {
      super(new SparseFile(file));
      this.file = file;
    }

    @Override
    public void write(byte[] bytes, int offset, int length) {
      try {
        out.write(bytes, offset, length);
      } catch (IOException e) {
        throw failed(file, e);
      }
    }

    static CommandFailure failed(Path file, IOException e) {
      return new CommandFailure(
          "cannot write " + file + ": " + e.getMessage(),
          "Check that the directory is there, writable and has room.",
          e);
    }
  }
}

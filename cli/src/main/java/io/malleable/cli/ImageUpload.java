package io.malleable.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.jspecify.annotations.Nullable;

/** Sends an image file to the server, beginning where an earlier attempt ended. */
final class ImageUpload {
  private static final String CONTENT = "/v1/images/{}/content";

  private final ApiClient api;
  private final Terminal terminal;
  private final PrintWriter err;

  ImageUpload(ApiClient api, Terminal terminal, PrintWriter err) {
    this.api = api;
    this.terminal = terminal;
    this.err = err;
  }

  /** The absolute path of a file that is there and can hold an image. */
  static Path file(String text) {
    Path file = Path.of(text).toAbsolutePath().normalize();
    if (!Files.exists(file)) {
      throw new CommandFailure(
          "the file " + file + " does not exist", "Give the path of an image file, or a URL.");
    }
    if (!Files.isRegularFile(file)) {
      throw new CommandFailure(
          file + " is not a regular file", "Give the path of an image file, or a URL.");
    }
    return file;
  }

  /** The answer to the last part: the operation that imports it. */
  ApiClient.Answer send(String name, Path file, @Nullable String format, boolean shared) {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ);
        ProgressLine line = new ProgressLine(terminal, err, "upload " + name)) {
      long size = channel.size();
      long offset = arrived(name, size);
      channel.position(offset);
      String range = offset == 0 ? null : "bytes " + offset + "-" + (size - 1) + "/" + size;
      String target = ApiClient.expand(CONTENT, name) + "?public=" + shared;
      if (format != null) {
        target += ApiClient.expand("&format={}", format);
      }
      try (InputStream in = Channels.newInputStream(channel)) {
        return api.put(in, size - offset, range, sent -> show(line, offset + sent, size), target);
      }
    } catch (IOException e) {
      throw new CommandFailure(file + " cannot be read: " + Failures.reason(e), null, e);
    }
  }

  /** How much the server has of an attempt that broke off; nothing when that was another file. */
  private long arrived(String name, long size) {
    String offset = api.head("upload-offset", "0", CONTENT, name);
    long bytes = offset.matches("[0-9]{1,18}") ? Long.parseLong(offset) : 0;
    return bytes < size ? bytes : 0;
  }

  private static void show(ProgressLine line, long sent, long size) {
    line.show(
        size == 0 ? 1 : (double) sent / size, Sizes.format(sent) + " of " + Sizes.format(size));
  }
}

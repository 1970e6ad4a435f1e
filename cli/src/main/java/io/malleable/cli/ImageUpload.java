package io.malleable.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import org.jspecify.annotations.Nullable;

/** Sends an image file to the server, beginning where an earlier attempt ended. */
final class ImageUpload {
  private static final String CONTENT = "/v1/images/{}/content";

  private static final int CHUNK_BYTES = 256 * 1024;

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

  /** What the user said of the file. */
  record Said(@Nullable String format, @Nullable String sha256, boolean shared) {}

  /** The answer to the last part: the operation that imports it. */
  ApiClient.Answer send(String name, Path file, Said said) {
    // Without it, what arrived of one file could be continued with the end of another.
    String sha256 = said.sha256() == null ? digest(name, file) : said.sha256();
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ);
        ProgressLine line = new ProgressLine(terminal, err, "upload " + name)) {
      long size = channel.size();
      long offset = arrived(name, size);
      channel.position(offset);
      String range = range(offset, size);
      String target = ApiClient.expand(CONTENT, name) + "?public=" + said.shared();
      target += ApiClient.expand("&sha256={}", sha256);
      if (said.format() != null) {
        target += ApiClient.expand("&format={}", said.format());
      }
      try (InputStream in = Channels.newInputStream(channel)) {
        return api.put(in, size - offset, range, sent -> show(line, offset + sent, size), target);
      }
    } catch (IOException e) {
      throw new CommandFailure(file + " cannot be read: " + Failures.reason(e), null, e);
    }
  }

  private String digest(String name, Path file) {
    try (InputStream in = Files.newInputStream(file);
        ProgressLine line = new ProgressLine(terminal, err, "checksum " + name)) {
      long size = Files.size(file);
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      byte[] chunk = new byte[CHUNK_BYTES];
      long done = 0;
      for (int n = in.read(chunk); n >= 0; n = in.read(chunk)) {
        digest.update(chunk, 0, n);
        done += n;
        show(line, done, size);
      }
      return HexFormat.of().formatHex(digest.digest());
    } catch (IOException e) {
      throw new CommandFailure(file + " cannot be read: " + Failures.reason(e), null, e);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  /** With it the server knows the end of the file from the end of a broken connection. */
  private static @Nullable String range(long offset, long size) {
    if (size == 0) {
      return null;
    }
    String part = offset == size ? "*" : offset + "-" + (size - 1);
    return "bytes " + part + "/" + size;
  }

  /**
   * How much the server has of an attempt that broke off, all of it if it was the answer that got
   * lost; nothing when that was another file.
   */
  private long arrived(String name, long size) {
    String offset = api.head("upload-offset", "0", CONTENT, name);
    long bytes = offset.matches("[0-9]{1,18}") ? Long.parseLong(offset) : 0;
    return bytes <= size ? bytes : 0;
  }

  private static void show(ProgressLine line, long sent, long size) {
    line.show(
        size == 0 ? 1 : (double) sent / size, Sizes.format(sent) + " of " + Sizes.format(size));
  }
}

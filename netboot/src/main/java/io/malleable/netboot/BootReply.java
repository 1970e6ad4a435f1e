package io.malleable.netboot;

import java.nio.charset.StandardCharsets;
import java.util.Optional;

/** A whole answer of the boot listener: everything it sends is small. */
final class BootReply {
  static final String TEXT = "text/plain; charset=utf-8";
  static final int TOO_LARGE = 413;

  private final int status;
  private final String contentType;
  private final byte[] content;
  private final Optional<String> allow;

  private BootReply(int status, String contentType, byte[] content, Optional<String> allow) {
    this.status = status;
    this.contentType = contentType;
    this.content = content;
    this.allow = allow;
  }

  static BootReply script(String script) {
    return text(200, script, Optional.empty());
  }

  /** A boot loader; UEFI recognises one by this type or by its name. */
  static BootReply loader(byte[] content) {
    return new BootReply(200, "application/efi", content, Optional.empty());
  }

  static BootReply accepted() {
    return text(200, "ok\n", Optional.empty());
  }

  static BootReply error(int status, String text) {
    return text(status, text + "\n", Optional.empty());
  }

  static BootReply notAllowed(String allowed) {
    return text(405, "only " + allowed + "\n", Optional.of(allowed));
  }

  private static BootReply text(int status, String text, Optional<String> allow) {
    return new BootReply(status, TEXT, text.getBytes(StandardCharsets.UTF_8), allow);
  }

  int status() {
    return status;
  }

  String contentType() {
    return contentType;
  }

  /** Never changed after construction. */
  byte[] content() {
    return content;
  }

  /** The methods that a 405 names. */
  Optional<String> allow() {
    return allow;
  }
}

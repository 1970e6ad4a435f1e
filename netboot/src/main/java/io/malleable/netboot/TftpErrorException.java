package io.malleable.netboot;

/** Ends a transfer; the client is told the code and the text (RFC 1350 appendix). */
final class TftpErrorException extends Exception {
  static final int FILE_NOT_FOUND = 1;
  static final int ACCESS_VIOLATION = 2;
  static final int ILLEGAL_OPERATION = 4;

  private final int code;

  TftpErrorException(int code, String message) {
    super(message, null, false, false); // no stack trace: hostile peers produce these at will
    this.code = code;
  }

  int code() {
    return code;
  }
}

package io.malleable.control;

import java.security.SecureRandom;

/** Secrets and tokens. */
final class RandomText {
  private static final String ALPHABET =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  private static final int SECRET_LENGTH = 24;
  private static final int TOKEN_LENGTH = 32;
  private static final SecureRandom RANDOM = new SecureRandom();

  private RandomText() {}

  /** 142 bits; more than the 96 that RFC 7143 9.2.1 asks of CHAP secrets without IPsec. */
  static String chapSecret() {
    return text(SECRET_LENGTH);
  }

  static String token() {
    return text(TOKEN_LENGTH);
  }

  private static String text(int length) {
    StringBuilder text = new StringBuilder(length);
    for (int i = 0; i < length; i++) {
      text.append(ALPHABET.charAt(RANDOM.nextInt(ALPHABET.length())));
    }
    return text.toString();
  }
}

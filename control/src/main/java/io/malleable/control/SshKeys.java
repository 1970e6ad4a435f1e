package io.malleable.control;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/** Public keys as in {@code authorized_keys}, without options, each one line. */
public final class SshKeys {
  /** For one node; more belong into an image or a directory service. */
  public static final int MAX_KEYS = 256;

  /**
   * Those of one source together. An identity drive, which has a bound of its own, holds the keys
   * of all nodes, of its node and of its provision.
   */
  public static final int MAX_CHARACTERS = 128 * 1024;

  /** Type, base64 of RFC 4648, and a comment; a private key's file has another form. */
  private static final Pattern KEY =
      Pattern.compile("(ssh-|ecdsa-|sk-)[a-z0-9@.-]{1,64} [A-Za-z0-9+/=]{16,8192}( [ -~]{0,256})?");

  private SshKeys() {}

  /** Whether the line is a public key. */
  public static boolean isKey(String line) {
    return KEY.matcher(line).matches();
  }

  /**
   * Refuses what is not a list of public keys.
   *
   * @throws ControlException FIELD_INVALID; does not repeat the text, which may be a private key
   */
  static void check(String field, List<String> keys) {
    if (keys.size() > MAX_KEYS) {
      throw ControlException.ofField(
          ErrorCode.FIELD_INVALID,
          field,
          Integer.toString(keys.size()),
          "A node has at most " + MAX_KEYS + " SSH keys.",
          "Name fewer, or put them into the image.");
    }
    int characters = keys.stream().mapToInt(String::length).sum();
    if (characters > MAX_CHARACTERS) {
      throw ControlException.ofField(
          ErrorCode.FIELD_INVALID,
          field,
          characters + " characters",
          "A node's SSH keys have at most " + MAX_CHARACTERS + " characters together.",
          "Name fewer, or put them into the image.");
    }
    for (int i = 0; i < keys.size(); i++) {
      if (!isKey(keys.get(i))) {
        throw ControlException.ofField(
            ErrorCode.FIELD_INVALID,
            field + "[" + i + "]",
            keys.get(i).length() + " characters",
            "The text in " + field + "[" + i + "] is not a public key.",
            "Give a line of a file such as id_ed25519.pub: TYPE BASE64 COMMENT, without options.");
      }
    }
  }

  /** Each key once, in the order of their coming. */
  public static List<String> merged(List<String> first, List<String> second) {
    Set<String> keys = new LinkedHashSet<>(first);
    keys.addAll(second);
    return new ArrayList<>(keys);
  }
}

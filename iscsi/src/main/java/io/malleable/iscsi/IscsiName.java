package io.malleable.iscsi;

import java.util.regex.Pattern;

/** Names of targets and initiators (RFC 7143 4.2.7). */
final class IscsiName {
  /** RFC 7143 4.2.7.2. */
  private static final int MAX_CHARS = 223;

  // Names are compared after preparation to lower case; what an initiator sends must be in it
  // already. Some (old Windows, hand-written ones) use '_' or upper case: tolerated.
  private static final Pattern FORM =
      Pattern.compile("(iqn\\.\\d{4}-\\d{2}\\.|eui\\.|naa\\.)[-._:A-Za-z0-9]+");

  private IscsiName() {}

  static boolean valid(String name) {
    return name.length() <= MAX_CHARS && FORM.matcher(name).matches();
  }

  static void require(String field, String name) {
    if (!valid(name)) {
      throw new IllegalArgumentException(
          field + " \"" + name + "\" is not an iSCSI name such as iqn.2026-11.io.malleable:disk-1");
    }
  }
}

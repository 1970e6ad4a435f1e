package io.malleable.control;

import java.util.regex.Pattern;

/** The rule for names of projects, images, disks, snapshots and nodes. */
public final class ResourceName {
  /** Fits a DNS label, a file name and a shell word; a UUID fits as well but is refused. */
  public static final String RULE = "[a-z0-9][a-z0-9._-]{0,62}";

  private static final Pattern PATTERN = Pattern.compile(RULE);
  private static final Pattern UUID_SHAPE =
      Pattern.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}");

  private ResourceName() {}

  /**
   * Returns the name when it keeps the rule.
   *
   * @throws ControlException NAME_INVALID, naming the field, the value and the rule
   */
  public static String check(String field, String name) {
    if (!PATTERN.matcher(name).matches()) {
      throw ControlException.ofField(
          ErrorCode.NAME_INVALID,
          field,
          name,
          "'" + visible(name) + "' is not a name.",
          "Use 1 to 63 lower-case letters, digits, '.', '_' or '-', starting with a letter or digit ("
              + RULE
              + ").");
    }
    if (looksLikeId(name)) {
      // Resources are addressed by name or id: a name that reads as an id would be ambiguous.
      throw ControlException.ofField(
          ErrorCode.NAME_INVALID,
          field,
          name,
          "'" + name + "' has the form of an id.",
          "Choose a name that is not a UUID.");
    }
    return name;
  }

  static boolean looksLikeId(String reference) {
    return UUID_SHAPE.matcher(reference).matches();
  }

  private static String visible(String text) {
    StringBuilder shown = new StringBuilder();
    text.codePoints()
        .limit(80)
        .forEach(c -> shown.appendCodePoint(Character.isISOControl(c) ? '?' : c));
    return shown.toString();
  }
}

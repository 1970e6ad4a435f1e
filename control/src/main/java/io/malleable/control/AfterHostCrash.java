package io.malleable.control;

import java.util.Locale;

/** What a node does about acknowledged writes that the host of the server took with it. */
public enum AfterHostCrash {
  /** Its writes are fast; when some may be lost, it is held until it reboots. */
  REBOOT,
  /** Each write is durable when it is acknowledged, so none is lost and the machine goes on. */
  WRITE_THROUGH;

  /** The word on the wire. */
  public String word() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /**
   * Reads the word.
   *
   * @throws ControlException FIELD_INVALID, field {@code afterHostCrash}
   */
  public static AfterHostCrash parse(String text) {
    for (AfterHostCrash policy : values()) {
      if (policy.word().equals(text)) {
        return policy;
      }
    }
    throw ControlException.ofField(
        ErrorCode.FIELD_INVALID,
        "afterHostCrash",
        text,
        "'" + text + "' is nothing that a node can do after a crash of the server's host.",
        "Use reboot or write-through.");
  }

  WriteCache writeCache() {
    return this == REBOOT ? WriteCache.WRITE_BACK : WriteCache.WRITE_THROUGH;
  }
}

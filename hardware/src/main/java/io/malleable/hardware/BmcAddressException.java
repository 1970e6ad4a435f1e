package io.malleable.hardware;

/** A node's {@code bmc} address is malformed. Nothing was changed or contacted. */
public final class BmcAddressException extends IllegalArgumentException {
  private static final long serialVersionUID = 1L;

  private final String value;
  private final String remedy;

  BmcAddressException(String problem, String value, String remedy) {
    super("bmc: " + problem + ": \"" + value + "\"; " + remedy);
    this.value = value;
    this.remedy = remedy;
  }

  /** Never null, unlike that of exceptions in general. */
  @Override
  public String getMessage() {
    return String.valueOf(super.getMessage());
  }

  /** The field to name in an answer, always {@code bmc}. */
  public String field() {
    return "bmc";
  }

  /** What was given, without any password it may have held. */
  public String value() {
    return value;
  }

  /** What would be right. */
  public String remedy() {
    return remedy;
  }
}

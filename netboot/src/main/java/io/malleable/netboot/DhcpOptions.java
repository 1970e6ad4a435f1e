package io.malleable.netboot;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.BiConsumer;

/**
 * The options of a DHCP message by their code (RFC 2132), immutable. A code that came in several
 * parts is one value here (RFC 3396).
 */
final class DhcpOptions {
  static final int SUBNET_MASK = 1;
  static final int ROUTERS = 3;
  static final int DNS_SERVERS = 6;
  static final int HOST_NAME = 12;
  static final int DOMAIN_NAME = 15;
  static final int INTERFACE_MTU = 26;
  static final int BROADCAST_ADDRESS = 28;
  static final int VENDOR_SPECIFIC = 43;
  static final int REQUESTED_ADDRESS = 50;
  static final int LEASE_SECONDS = 51;
  static final int OVERLOAD = 52;
  static final int MESSAGE_TYPE = 53;
  static final int SERVER_IDENTIFIER = 54;
  static final int MESSAGE = 56;
  static final int MAX_MESSAGE_SIZE = 57;
  static final int RENEWAL_SECONDS = 58;
  static final int REBINDING_SECONDS = 59;
  static final int VENDOR_CLASS = 60;
  static final int CLIENT_IDENTIFIER = 61;
  static final int TFTP_SERVER_NAME = 66;
  static final int BOOT_FILE_NAME = 67;
  static final int USER_CLASS = 77;
  static final int RELAY_AGENT_INFORMATION = 82;

  /** RFC 4578 2.1. */
  static final int CLIENT_ARCHITECTURE = 93;

  /** RFC 4578 2.3. */
  static final int CLIENT_MACHINE_IDENTIFIER = 97;

  /** iPXE's own encapsulated options. */
  static final int IPXE_ENCAPSULATED = 175;

  static final int PAD = 0;
  static final int END = 255;

  private static final DhcpOptions NONE = new DhcpOptions(new TreeMap<>());

  private final SortedMap<Integer, byte[]> values;

  private DhcpOptions(SortedMap<Integer, byte[]> values) {
    this.values = values;
  }

  static Builder builder() {
    return new Builder();
  }

  static DhcpOptions none() {
    return NONE;
  }

  boolean has(int code) {
    return values.containsKey(code);
  }

  /** A copy of the value. */
  Optional<byte[]> octets(int code) {
    return Optional.ofNullable(values.get(code)).map(byte[]::clone);
  }

  /** A value of exactly one octet. */
  OptionalInt u8(int code) {
    byte[] value = values.get(code);
    return value != null && value.length == 1
        ? OptionalInt.of(value[0] & 0xff)
        : OptionalInt.empty();
  }

  /** The first two octets of a value that has at least two. */
  OptionalInt u16(int code) {
    byte[] value = values.get(code);
    return value != null && value.length >= 2
        ? OptionalInt.of(ByteBuffer.wrap(value).getShort() & 0xffff)
        : OptionalInt.empty();
  }

  /** A value of exactly four octets. */
  Optional<Ipv4> address(int code) {
    byte[] value = values.get(code);
    return value != null && value.length == 4
        ? Optional.of(new Ipv4(ByteBuffer.wrap(value).getInt()))
        : Optional.empty();
  }

  /** The value as text without the zero octets that some firmware appends. */
  Optional<String> text(int code) {
    byte[] value = values.get(code);
    if (value == null) {
      return Optional.empty();
    }
    int length = value.length;
    while (length > 0 && value[length - 1] == 0) {
      length--;
    }
    return Optional.of(new String(value, 0, length, StandardCharsets.ISO_8859_1));
  }

  /** Sub-option of relay agent information (RFC 3046 2.0), four octets long. */
  Optional<Ipv4> relayAddress(int subCode) {
    byte[] value = values.get(RELAY_AGENT_INFORMATION);
    if (value == null) {
      return Optional.empty();
    }
    for (int at = 0; at + 2 <= value.length; at += 2 + (value[at + 1] & 0xff)) {
      int lengthBytes = value[at + 1] & 0xff;
      if ((value[at] & 0xff) == subCode && lengthBytes == 4 && at + 6 <= value.length) {
        return Optional.of(new Ipv4(ByteBuffer.wrap(value, at + 2, 4).getInt()));
      }
    }
    return Optional.empty();
  }

  /** The codes present, ascending. */
  List<Integer> codes() {
    return List.copyOf(values.keySet());
  }

  void forEach(BiConsumer<Integer, byte[]> action) {
    values.forEach(action);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof DhcpOptions that
        && values.keySet().equals(that.values.keySet())
        && values.entrySet().stream()
            .allMatch(e -> Arrays.equals(e.getValue(), that.values.get(e.getKey())));
  }

  @Override
  public int hashCode() {
    int hash = 0;
    for (Map.Entry<Integer, byte[]> entry : values.entrySet()) {
      hash = 31 * hash + entry.getKey() * 31 + Arrays.hashCode(entry.getValue());
    }
    return hash;
  }

  @Override
  public String toString() {
    StringBuilder text = new StringBuilder("{");
    values.forEach((code, value) ->
        text.append(text.length() > 1 ? ", " : "")
            .append(code)
            .append('=')
            .append(HexFormat.of().formatHex(value)));
    return text.append('}').toString();
  }

  /** Collects options; a code that comes again goes on where it ended. */
  static final class Builder {
    private final TreeMap<Integer, byte[]> values = new TreeMap<>();

    private Builder() {}

    Builder add(int code, byte[] part) {
      if (code <= PAD || code >= END) {
        throw new IllegalArgumentException("not an option code: " + code);
      }
      values.merge(
          code,
          part.clone(),
          (first, second) -> {
            ByteArrayOutputStream whole = new ByteArrayOutputStream();
            whole.writeBytes(first);
            whole.writeBytes(second);
            return whole.toByteArray();
          });
      return this;
    }

    Builder u8(int code, int value) {
      return add(code, new byte[] {(byte) value});
    }

    Builder u32(int code, long value) {
      return add(code, ByteBuffer.allocate(4).putInt((int) value).array());
    }

    Builder address(int code, Ipv4 address) {
      return add(code, address.octets());
    }

    Builder addresses(int code, List<Ipv4> addresses) {
      addresses.forEach(address -> add(code, address.octets()));
      return this;
    }

    Builder text(int code, String text) {
      return add(code, text.getBytes(StandardCharsets.US_ASCII));
    }

    /** Takes over an option that the reply has to echo. */
    Builder echo(int code, DhcpOptions request) {
      request.octets(code).ifPresent(value -> add(code, value));
      return this;
    }

    DhcpOptions build() {
      return new DhcpOptions(new TreeMap<>(values));
    }
  }
}

package io.malleable.app;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;

/**
 * An address to listen on.
 *
 * @param host name or literal; an IPv6 literal without its brackets
 * @param port 0 takes a free one
 */
record HostPort(String host, int port) {
  static HostPort parse(String text) throws SettingException {
    int colon = text.lastIndexOf(':');
    String host = colon < 0 ? "" : text.substring(0, colon);
    if (host.startsWith("[") && host.endsWith("]")) {
      host = host.substring(1, host.length() - 1);
    } else if (host.contains(":")) {
      throw new SettingException("put an IPv6 address into brackets, such as [::]:8480");
    }
    if (host.isEmpty()) {
      throw new SettingException("use HOST:PORT, such as 127.0.0.1:8480 or 0.0.0.0:8480");
    }
    try {
      int port = Integer.parseInt(text.substring(colon + 1));
      if (port >= 0 && port <= 65535) {
        return new HostPort(host, port);
      }
    } catch (NumberFormatException e) {
      // Said below, as for a number out of range.
    }
    throw new SettingException("the port must be a number from 0 to 65535; 0 takes a free one");
  }

  InetSocketAddress resolve() throws UnknownHostException {
    return new InetSocketAddress(InetAddress.getByName(host), port);
  }

  /** Whether it is no address but all that the machine has. */
  boolean isEverywhere() {
    return host.equals("0.0.0.0") || host.equals("::");
  }

  HostPort withPort(int actualPort) {
    return new HostPort(host, actualPort);
  }

  /** As it stands in a URL. */
  @Override
  public String toString() {
    return (host.contains(":") ? "[" + host + "]" : host) + ":" + port;
  }
}

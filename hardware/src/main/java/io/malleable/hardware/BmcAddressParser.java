package io.malleable.hardware;

import java.net.URI;
import java.net.URISyntaxException;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Takes the text of a {@link BmcAddress} apart and says what is wrong with a bad one. */
final class BmcAddressParser {
  /** The same rule as for a node's name; above all it cannot leave the lab directory. */
  private static final Pattern LAB_NAME = Pattern.compile("[a-z0-9][a-z0-9._-]{0,62}");

  /** What a BMC's host may be: a DNS name, an IPv4 address or an IPv6 address in brackets. */
  private static final Pattern HOST =
      Pattern.compile("[A-Za-z0-9]([A-Za-z0-9._-]{0,252})|\\[[0-9A-Fa-f:.]{2,45}]");

  /** IPMI allows 16 bytes; Redfish more. A leading dash could be taken for an option. */
  private static final Pattern USER = Pattern.compile("[A-Za-z0-9_.@][A-Za-z0-9_.@-]{0,63}");

  private static final Pattern CONSOLE = Pattern.compile("console=ipmi(?::([0-9]{1,5}))?");

  private static final int IPMI_PORT = 623;
  private static final int HTTPS_PORT = 443;

  private static final String FORMS =
      "use none, qemu:NAME, ipmi://USER@HOST[:PORT] or"
          + " redfish://USER@HOST[:PORT][/redfish/v1/Systems/ID][?boot=http&console=ipmi&insecure=true]";

  private BmcAddressParser() {}

  static BmcAddress parse(@Nullable String text) {
    if (text == null || text.isBlank() || text.equals("none") || text.equals("none:")) {
      return new BmcAddress.None();
    }
    if (text.startsWith("qemu:")) {
      String name = text.substring("qemu:".length());
      if (!LAB_NAME.matcher(name).matches()) {
        throw new BmcAddressException(
            "not a lab machine's name", text, "use qemu:NAME, NAME matching " + LAB_NAME.pattern());
      }
      return new BmcAddress.Qemu(name);
    }
    URI uri;
    try {
      uri = new URI(text);
    } catch (URISyntaxException e) {
      throw new BmcAddressException("not an address", withoutPassword(text), FORMS);
    }
    String scheme = uri.getScheme() == null ? "" : uri.getScheme().toLowerCase(Locale.ROOT);
    return switch (scheme) {
      case "ipmi" -> ipmi(text, uri);
      case "redfish" -> redfish(text, uri);
      default -> throw new BmcAddressException("unknown driver", withoutPassword(text), FORMS);
    };
  }

  private static BmcAddress.Ipmi ipmi(String text, URI uri) {
    boolean bare = uri.getRawPath() == null || uri.getRawPath().isEmpty();
    if (!bare || uri.getRawQuery() != null || uri.getRawFragment() != null) {
      throw new BmcAddressException(
          "nothing may follow the host", text, "use ipmi://USER@HOST[:PORT]");
    }
    return ipmiAccount(text, user(text, uri), host(text, uri), port(text, uri, IPMI_PORT));
  }

  private static BmcAddress.Ipmi ipmiAccount(String text, String user, String host, int port) {
    if (user.length() > 16) {
      throw new BmcAddressException(
          "the user name is longer than the 16 bytes of IPMI", text, "use a shorter account");
    }
    return new BmcAddress.Ipmi(user, host, port);
  }

  /** {@code console=ipmi} or {@code console=ipmi:PORT}. */
  private static int consolePort(String text, String option) {
    Matcher console = CONSOLE.matcher(option);
    if (!console.matches()) {
      throw new BmcAddressException(
          "unknown option",
          text,
          "use boot=pxe, boot=http, console=ipmi or insecure=true after the ?");
    }
    int port = console.group(1) == null ? IPMI_PORT : Integer.parseInt(console.group(1));
    if (port < 1 || port > 65535) {
      throw new BmcAddressException("the console's port is out of range", text, "use 1 to 65535");
    }
    return port;
  }

  private static BmcAddress.Redfish redfish(String text, URI uri) {
    String path = uri.getRawPath() == null ? "" : uri.getRawPath();
    while (path.endsWith("/")) {
      path = path.substring(0, path.length() - 1);
    }
    if (!path.isEmpty() && !path.matches("/redfish/v1/Systems/[A-Za-z0-9._~%-]{1,128}")) {
      throw new BmcAddressException(
          "the path is not a ComputerSystem",
          text,
          "end it with /redfish/v1/Systems/ID or nothing");
    }
    BmcAddress.NetworkBoot boot = BmcAddress.NetworkBoot.PXE;
    boolean insecure = false;
    int consolePort = 0;
    for (String option : options(uri)) {
      switch (option) {
        case "boot=pxe" -> boot = BmcAddress.NetworkBoot.PXE;
        case "boot=http" -> boot = BmcAddress.NetworkBoot.HTTP;
        case "insecure=true" -> insecure = true;
        default -> consolePort = consolePort(text, option);
      }
    }
    BmcAddress.Ipmi console =
        consolePort == 0 ? null : ipmiAccount(text, user(text, uri), host(text, uri), consolePort);
    return new BmcAddress.Redfish(
        user(text, uri),
        host(text, uri),
        port(text, uri, HTTPS_PORT),
        path.isEmpty() ? null : path,
        boot,
        insecure,
        console);
  }

  private static List<String> options(URI uri) {
    String query = uri.getRawFragment() == null ? uri.getRawQuery() : "#" + uri.getRawFragment();
    return query == null ? List.of() : List.of(query.split("&", -1));
  }

  private static String user(String text, URI uri) {
    String userInfo = uri.getUserInfo();
    if (userInfo != null && userInfo.contains(":")) {
      throw new BmcAddressException(
          "a password does not belong into an address",
          withoutPassword(text),
          "leave it out and keep it with the BMC credentials");
    }
    if (userInfo == null || !USER.matcher(userInfo).matches()) {
      throw new BmcAddressException(
          "no usable user name",
          withoutPassword(text),
          "write " + uri.getScheme() + "://USER@HOST");
    }
    return userInfo;
  }

  private static String host(String text, URI uri) {
    String host = uri.getHost();
    if (host == null || !HOST.matcher(host).matches()) {
      throw new BmcAddressException(
          "no usable host", text, "use a DNS name, an IPv4 address or an IPv6 address in brackets");
    }
    return host;
  }

  private static int port(String text, URI uri, int standard) {
    int port = uri.getPort();
    if (port == -1) {
      return standard;
    }
    if (port < 1 || port > 65535) {
      throw new BmcAddressException("the port is out of range", text, "use 1 to 65535");
    }
    return port;
  }

  /** Cuts out what may be a password, because this text ends up in answers and logs. */
  private static String withoutPassword(String text) {
    int at = text.lastIndexOf('@');
    int scheme = text.indexOf("://");
    int start = scheme < 0 ? 0 : scheme + 3;
    int colon = at < 0 ? -1 : text.indexOf(':', start);
    return colon >= 0 && colon < at
        ? text.substring(0, colon) + ":********" + text.substring(at)
        : text;
  }
}

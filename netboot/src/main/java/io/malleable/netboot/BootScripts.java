package io.malleable.netboot;

import io.malleable.netboot.BootPlan.DriveTarget;
import io.malleable.netboot.BootPlan.Provisioned;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Writes iPXE scripts. Pure: what is random or timed comes from the caller.
 *
 * <p>iPXE splits a line at white space, then expands {@code ${...}} in each word; there is neither
 * quoting nor escaping. So everything that is not known to be plain goes through {@link #screen} or
 * is stored as hexadecimal digits.
 *
 * <p>Every script ends in the same loop: wait, then fetch the machine's script anew in place of the
 * running one. The wait is chosen by the server (back-off and jitter), so a thousand machines
 * neither ask at once nor reboot, and a decision of the operator reaches a waiting machine.
 */
final class BootScripts {
  /** As many as iPXE lists in the drives of real machines; more would only lengthen the URL. */
  private static final int NICS_REPORTED = 8;

  private static final Pattern PLAIN_WORD = Pattern.compile("[A-Za-z0-9._-]+");
  private static final Pattern NOT_FOR_SCREEN = Pattern.compile("[^ -~]|[$|&;]");
  private static final int MAX_SCREEN_LENGTH = 200;

  private BootScripts() {}

  /**
   * The entry for any machine: finds out who it is and fetches its own script.
   *
   * @param base {@code http://host:port} as the machine reaches it
   */
  static String entry(String base, int waitSeconds) {
    // netX is the interface opened last, the one that boots. Older builds do not know it; the
    // server then goes by the list.
    String nics =
        IntStream.range(0, NICS_REPORTED)
            .mapToObj(i -> "${net" + i + "/mac:hexhyp}")
            .collect(Collectors.joining(","));
    String url =
        base + "/boot/${netX/mac:hexhyp}.ipxe?platform=${platform}&uuid=${uuid}&nics=" + nics;
    // An iPXE that UEFI loaded from the network may run this script by UEFI's drivers, before it
    // has
    // opened an interface of its own: netX names none then, and no URL is reached. The address of
    // any interface tells nothing, as UEFI's is known all the same. In the loop, because the
    // network
    // may come up later.
    return "#!ipxe\n"
        + ":again\n"
        + "isset ${netX/ip} || isset ${netX/ip6} || ifconf ||\n"
        + "chain --replace --autofree "
        + url
        + " ||\n"
        + "echo M2: "
        + base
        + " has no script for this machine; asking again in "
        + waitSeconds
        + " s\n"
        + "sleep "
        + waitSeconds
        + "\n"
        + "goto again\n";
  }

  /** The script of one machine, as its plan wants it. */
  static String forMachine(BootPlan plan, BootRequest request, Origin origin, int waitSeconds) {
    StringBuilder script = new StringBuilder("#!ipxe\n");
    switch (plan) {
      case Provisioned provisioned -> boot(script, provisioned, request, origin, waitSeconds);
      case BootPlan.NotProvisioned(String node) ->
          say(script, "node " + screen(node) + " (" + request.mac() + ") has no drive. Run:")
              .append("echo M2:   m2 node provision ")
              .append(screen(node))
              .append(" --image IMAGE\n");
      case BootPlan.Unknown() -> introduce(script, request);
      case BootPlan.Wait(String node, String reason) ->
          say(script, "node " + screen(node) + " waits: " + screen(reason));
    }
    if (!(plan instanceof Provisioned)) {
      say(script, "asking again in " + waitSeconds + " s");
    }
    return repeat(script, plan, request, origin, waitSeconds).toString();
  }

  private static void boot(
      StringBuilder script, Provisioned plan, BootRequest request, Origin origin, int waitSeconds) {
    set(script, "initiator-iqn", plan.initiator());
    // Cleared first: what another script left there would make the login fail.
    for (String name :
        new String[] {"username", "password", "reverse-username", "reverse-password"}) {
      script.append("clear ").append(name).append(" ||\n");
    }
    plan.chap().ifPresent(chap -> credentials(script, "", chap));
    plan.mutualChap().ifPresent(chap -> credentials(script, "reverse-", chap));
    // The drive stays described to the operating system (iBFT) after the boot loader has started.
    set(script, "keep-san", "1");
    say(
        script,
        "node %s (%s) boots from %s"
            .formatted(screen(plan.node()), request.mac(), plan.target().name()));
    script.append("sanboot --drive 0x80");
    for (Portal portal : plan.target().portals()) {
      script.append(' ').append(rootPath(plan.target(), portal, origin));
    }
    script.append(" ||\n");
    say(script, "the drive did not boot (cause above); asking again in " + waitSeconds + " s");
    // keep-san leaves the drive hooked on failure, which would refuse the next attempt.
    script.append("sanunhook --drive 0x80 ||\n");
    script.append("clear password ||\nclear reverse-password ||\n");
  }

  private static void introduce(StringBuilder script, BootRequest request) {
    say(script, "this server does not know this machine. To add it, run:");
    script.append("echo M2:   m2 node add NAME --mac ").append(request.mac());
    if (request.firmware() == Firmware.UEFI) {
      script.append(" --firmware uefi");
    }
    script.append('\n');
    request.uuid().ifPresent(uuid -> say(script, "system UUID " + screen(uuid)));
  }

  private static StringBuilder repeat(
      StringBuilder script, BootPlan plan, BootRequest request, Origin origin, int waitSeconds) {
    StringBuilder url = new StringBuilder(origin.base());
    url.append("/boot/").append(request.mac().hyphenated());
    url.append(".ipxe?platform=${platform}&uuid=${uuid}");
    if (request.nics().size() > 1) {
      url.append("&nics=");
      url.append(
          request.nics().stream().map(MacAddress::hyphenated).collect(Collectors.joining(",")));
    }
    if (plan instanceof Provisioned) {
      url.append("&failed=drive&attempt=");
      url.append(Math.min(request.attempt() + 1, BootRequest.MAX_ATTEMPT));
    }
    return script
        .append(":again\nsleep ")
        .append(waitSeconds)
        .append("\nchain --replace --autofree ")
        .append(url)
        .append(" ||\necho M2: ")
        .append(origin.base())
        .append(" does not answer; trying again in ")
        .append(waitSeconds)
        .append(" s\ngoto again\n");
  }

  /** The URI of RFC 4173, whose protocol field stays empty for TCP and an empty LUN is 0. */
  static String rootPath(DriveTarget target, Portal portal, Origin origin) {
    String host = portal.address().map(BootScripts::literal).orElse(origin.host());
    String lun = target.lun() == 0 ? "" : Integer.toHexString(target.lun());
    return "iscsi:" + host + "::" + portal.port() + ":" + lun + ":" + target.name();
  }

  /** An address as URIs write it, an IPv6 one in brackets and without a zone. */
  static String literal(InetAddress address) {
    if (!(address instanceof Inet6Address)) {
      return address.getHostAddress();
    }
    String text = address.getHostAddress();
    int zone = text.indexOf('%');
    return "[" + (zone < 0 ? text : text.substring(0, zone)) + "]";
  }

  private static void credentials(StringBuilder script, String prefix, ChapCredentials chap) {
    set(script, prefix + "username", chap.username());
    set(script, prefix + "password", chap.secret());
  }

  private static void set(StringBuilder script, String name, String value) {
    boolean plain =
        PLAIN_WORD.matcher(value).matches() || value.startsWith("iqn.") || value.startsWith("eui.");
    script.append("set ").append(name);
    if (plain) {
      script.append(' ').append(value);
    } else {
      script
          .append(":hexraw ")
          .append(HexFormat.of().formatHex(value.getBytes(StandardCharsets.UTF_8)));
    }
    script.append('\n');
  }

  private static StringBuilder say(StringBuilder script, String text) {
    return script.append("echo M2: ").append(text).append('\n');
  }

  /** Text of others on the screen: no variables, no operators, no control characters. */
  static String screen(String text) {
    String clean = NOT_FOR_SCREEN.matcher(text).replaceAll("?");
    return clean.length() <= MAX_SCREEN_LENGTH
        ? clean
        : clean.substring(0, MAX_SCREEN_LENGTH) + "...";
  }

  /**
   * How the machine reaches this server.
   *
   * @param host a name or an address literal, in brackets if it is IPv6
   */
  record Origin(String host, int port) {
    String base() {
      return "http://" + host + ":" + port;
    }

    static Origin advertised(String host, int port) {
      boolean bareIpv6 = host.indexOf(':') >= 0 && !host.startsWith("[");
      return new Origin(bareIpv6 ? "[" + host + "]" : host, port);
    }

    /**
     * The address by which the machine reached us: the Host header when it is a literal with our
     * port (a translated address is right there and wrong on the socket), else the socket's own.
     */
    static Origin reached(Optional<String> hostHeader, InetAddress local, int port) {
      return hostHeader
          .flatMap(header -> literalWithPort(header, port))
          .map(address -> new Origin(literal(address), port))
          .orElseGet(() -> new Origin(literal(local), port));
    }

    private static Optional<InetAddress> literalWithPort(String header, int port) {
      String suffix = ":" + port;
      String host;
      if (header.endsWith(suffix)) {
        host = header.substring(0, header.length() - suffix.length());
      } else if (port == 80) {
        host = header;
      } else {
        return Optional.empty();
      }
      boolean bracketed = host.startsWith("[") && host.endsWith("]");
      boolean ipv6 = host.indexOf(':') >= 0;
      if (host.length() > 64 || ipv6 != bracketed || host.indexOf('%') >= 0) {
        return Optional.empty();
      }
      try {
        return Optional.of(
            InetAddress.ofLiteral(bracketed ? host.substring(1, host.length() - 1) : host));
      } catch (IllegalArgumentException notALiteral) {
        return Optional.empty();
      }
    }
  }
}

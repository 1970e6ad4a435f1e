package io.malleable.netboot;

import io.malleable.netboot.DhcpDirectory.Host;
import io.malleable.netboot.DhcpEngine.Caller;
import io.malleable.netboot.DhcpPacket.Op;
import java.util.Optional;

/** Writes the messages that a server sends (RFC 2131 4.3.1, table 3). */
final class DhcpReplies {
  private static final int MAX_FILE_LENGTH = 127;

  /**
   * PXE 2.1, vendor options: PXE_DISCOVERY_CONTROL (6) = 8, take the boot file of this answer and
   * look for no boot server; 255 ends them.
   */
  private static final byte[] USE_BOOT_FILE = {6, 1, 8, (byte) 255};

  /** iPXE's option 176 within 175: there is no separate proxy, do not wait two seconds for one. */
  private static final byte[] NO_PROXY = {(byte) 176, 1, 1};

  private final DhcpConfig config;

  DhcpReplies(DhcpConfig config) {
    this.config = config;
  }

  /** OFFER or ACK of an address, with the boot file of the client's kind. */
  DhcpPacket lease(Caller caller, DhcpMessageType type, Ipv4 address, DhcpSubnet subnet) {
    long seconds = config.lease().toSeconds();
    DhcpOptions.Builder options = network(caller, type, subnet);
    options.u32(DhcpOptions.LEASE_SECONDS, seconds);
    options.u32(DhcpOptions.RENEWAL_SECONDS, seconds / 2);
    options.u32(DhcpOptions.REBINDING_SECONDS, seconds * 7 / 8);
    if (caller.client().kind() == DhcpClient.Kind.IPXE) {
      options.add(DhcpOptions.IPXE_ENCAPSULATED, NO_PROXY);
    }
    return withBootFile(caller, options, address);
  }

  /** Answer to INFORM: everything but an address and its lease (RFC 2131 4.3.5). */
  DhcpPacket inform(Caller caller, DhcpSubnet subnet) {
    return withBootFile(caller, network(caller, DhcpMessageType.ACK, subnet), Ipv4.ANY);
  }

  /** Boot file only, for a client that has its address from elsewhere. */
  Optional<DhcpPacket> proxy(Caller caller, DhcpMessageType type) {
    return BootFile.of(caller.client(), config)
        .map(file -> withBootFile(caller, base(caller, type), Ipv4.ANY));
  }

  DhcpPacket nak(Caller caller, String why) {
    DhcpOptions options = base(caller, DhcpMessageType.NAK).text(DhcpOptions.MESSAGE, why).build();
    // RFC 2131 4.3.2: behind a relay the client is reached by broadcast, its address being wrong.
    return packet(caller, Ipv4.ANY, Ipv4.ANY, "", true, options);
  }

  private DhcpOptions.Builder network(Caller caller, DhcpMessageType type, DhcpSubnet subnet) {
    DhcpOptions.Builder options = base(caller, type);
    options.address(DhcpOptions.SUBNET_MASK, subnet.mask());
    options.address(DhcpOptions.BROADCAST_ADDRESS, subnet.broadcast());
    if (!subnet.routers().isEmpty()) {
      options.addresses(DhcpOptions.ROUTERS, subnet.routers());
    }
    if (!subnet.dnsServers().isEmpty()) {
      options.addresses(DhcpOptions.DNS_SERVERS, subnet.dnsServers());
    }
    subnet.domain().ifPresent(domain -> options.text(DhcpOptions.DOMAIN_NAME, domain));
    caller
        .host()
        .flatMap(Host::hostName)
        .filter(name -> name.matches("[A-Za-z0-9.-]{1,63}"))
        .ifPresent(name -> options.text(DhcpOptions.HOST_NAME, name));
    return options;
  }

  private DhcpOptions.Builder base(Caller caller, DhcpMessageType type) {
    DhcpOptions.Builder options = DhcpOptions.builder();
    options.u8(DhcpOptions.MESSAGE_TYPE, type.code);
    options.address(DhcpOptions.SERVER_IDENTIFIER, config.serverAddress());
    echo(options, caller, DhcpOptions.CLIENT_IDENTIFIER); // RFC 6842
    echo(options, caller, DhcpOptions.RELAY_AGENT_INFORMATION); // RFC 3046 2.2
    return options;
  }

  private DhcpPacket withBootFile(Caller caller, DhcpOptions.Builder options, Ipv4 yiaddr) {
    Optional<String> file = BootFile.of(caller.client(), config);
    if (file.isEmpty()) {
      return packet(caller, yiaddr, Ipv4.ANY, "", caller.request().broadcast(), options.build());
    }
    switch (caller.client().kind()) {
      // UEFI takes an answer for its own only when it carries the same vendor class.
      case HTTP -> options.text(DhcpOptions.VENDOR_CLASS, "HTTPClient");
      case PXE, IPXE -> {
        options.text(DhcpOptions.VENDOR_CLASS, "PXEClient");
        options.add(DhcpOptions.VENDOR_SPECIFIC, USE_BOOT_FILE);
        echo(options, caller, DhcpOptions.CLIENT_MACHINE_IDENTIFIER);
      }
      case OTHER -> {}
    }
    String name = file.get();
    options.text(DhcpOptions.BOOT_FILE_NAME, name);
    return packet(
        caller,
        yiaddr,
        config.serverAddress(),
        name.length() <= MAX_FILE_LENGTH ? name : "",
        caller.request().broadcast(),
        options.build());
  }

  private static void echo(DhcpOptions.Builder options, Caller caller, int code) {
    caller
        .request()
        .options()
        .octets(code)
        .filter(DhcpEngine::fits)
        .ifPresent(value -> options.add(code, value));
  }

  private static DhcpPacket packet(
      Caller caller,
      Ipv4 yiaddr,
      Ipv4 siaddr,
      String file,
      boolean broadcast,
      DhcpOptions options) {
    DhcpPacket request = caller.request();
    Ipv4 ciaddr =
        options.u8(DhcpOptions.MESSAGE_TYPE).orElse(0) == DhcpMessageType.ACK.code
            ? request.ciaddr()
            : Ipv4.ANY;
    return new DhcpPacket(
        Op.BOOTREPLY,
        0,
        request.xid(),
        0,
        broadcast,
        ciaddr,
        yiaddr,
        siaddr,
        request.giaddr(),
        request.chaddr(),
        "",
        file,
        options);
  }
}

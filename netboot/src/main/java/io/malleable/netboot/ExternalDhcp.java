package io.malleable.netboot;

import io.malleable.netboot.DhcpConfig.LoaderNames;
import java.util.List;
import java.util.stream.Collectors;

/**
 * The settings with which somebody else's DHCP server sends machines to this one. Other machines of
 * that server are not touched: only those that ask for a boot file get one.
 *
 * @param server address of our TFTP and boot listeners as machines reach them
 * @param bootHttpPort port of the boot listener
 */
public record ExternalDhcp(Ipv4 server, int bootHttpPort, LoaderNames loaders) {

  /** A kind of firmware: its tag, architecture codes and whether it boots by HTTP. */
  private record Kind(String tag, List<Integer> architectures, boolean http, String loader) {}

  private List<Kind> kinds() {
    return List.of(
        new Kind("m2-bios", List.of(0), false, loaders.bios()),
        new Kind("m2-uefi", List.of(7, 9), false, loaders.uefi64()),
        new Kind("m2-uefi-arm64", List.of(11), false, loaders.uefiArm64()),
        new Kind("m2-http", List.of(16), true, loaders.uefi64()),
        new Kind("m2-http-arm64", List.of(19), true, loaders.uefiArm64()));
  }

  private String url(String file) {
    return "http://" + server + ":" + bootHttpPort + "/" + file;
  }

  /** For dnsmasq, a file of {@code /etc/dnsmasq.d}. */
  public String dnsmasq() {
    StringBuilder text = new StringBuilder("# Machines that boot over the network go to M2.\n");
    text.append("dhcp-userclass=set:m2-ipxe,iPXE\n");
    text.append("dhcp-match=set:m2-ipxe,175\n");
    for (Kind kind : kinds()) {
      for (int architecture : kind.architectures()) {
        text.append(
            "dhcp-match=set:%s,option:client-arch,%d\n".formatted(kind.tag(), architecture));
      }
    }
    text.append("# iPXE, once it runs, takes the boot script; 175.176 spares it two seconds.\n");
    text.append("dhcp-boot=tag:m2-ipxe,%s\n".formatted(url("boot.ipxe")));
    text.append("dhcp-option=tag:m2-ipxe,encap:175,176,1b\n");
    text.append("# Firmware takes iPXE.\n");
    for (Kind kind : kinds()) {
      String tags = "tag:%s,tag:!m2-ipxe".formatted(kind.tag());
      if (kind.http()) {
        text.append("dhcp-option-force=%s,60,HTTPClient\n".formatted(tags));
        text.append("dhcp-boot=%s,%s\n".formatted(tags, url(kind.loader())));
      } else {
        text.append("dhcp-boot=%s,%s,,%s\n".formatted(tags, kind.loader(), server));
      }
    }
    return text.toString();
  }

  /** For ISC Kea: the member {@code client-classes} of {@code Dhcp4}. */
  public String kea() {
    String ipxe =
        keaClass(
            "m2-ipxe",
            "substring(option[77].hex,0,4) == 'iPXE' or option[175].exists",
            List.of(quoted("boot-file-name", url("boot.ipxe"))));
    return kinds().stream()
        .map(this::keaClass)
        .collect(Collectors.joining(",\n", "\"client-classes\": [\n" + ipxe + ",\n", "\n]\n"));
  }

  private String keaClass(Kind kind) {
    String architectures =
        kind.architectures().stream()
            .map("option[93].hex == 0x%04x"::formatted)
            .collect(Collectors.joining(" or ", "(", ")"));
    String test = "not member('m2-ipxe') and " + architectures;
    List<String> members =
        kind.http()
            ? List.of(
                quoted("boot-file-name", url(kind.loader())),
                "\"option-data\": [ { \"name\": \"vendor-class-identifier\", \"data\": \"HTTPClient\" } ]")
            : List.of(
                quoted("next-server", server.toString()), quoted("boot-file-name", kind.loader()));
    return keaClass(kind.tag(), test, members);
  }

  private static String keaClass(String name, String test, List<String> members) {
    return "  {\n    %s,\n    %s,\n    %s\n  }"
        .formatted(quoted("name", name), quoted("test", test), String.join(",\n    ", members));
  }

  private static String quoted(String member, String value) {
    return "\"" + member + "\": \"" + value + "\"";
  }
}

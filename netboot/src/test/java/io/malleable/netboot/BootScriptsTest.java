package io.malleable.netboot;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.netboot.BootPlan.DriveTarget;
import io.malleable.netboot.BootPlan.Provisioned;
import io.malleable.netboot.BootScripts.Origin;
import java.net.InetAddress;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class BootScriptsTest {
  private static final String TARGET =
      "iqn.2026-11.io.malleable:0b2f1a56-7a0e-4b53-9f2e-000000000001";
  private static final String INITIATOR =
      "iqn.2026-11.io.malleable.node:0b2f1a56-7a0e-4b53-9f2e-000000000002";
  private static final Origin ORIGIN = new Origin("10.0.2.2", 8081);

  private static BootRequest request(String mac, Map<String, String> query) {
    return BootRequest.parse(mac, query).orElseThrow();
  }

  private static Provisioned plan(
      Optional<ChapCredentials> chap, Optional<ChapCredentials> mutual, Portal... portals) {
    return new Provisioned(
        "n1", INITIATOR, new DriveTarget(TARGET, 0, List.of(portals)), chap, mutual);
  }

  @Test
  void entryScriptAsksForTheScriptOfTheInterfaceThatBootsAndNamesTheOthers() {
    assertEquals(
        """
        #!ipxe
        :again
        isset ${netX/ip} || isset ${netX/ip6} || ifconf ||
        chain --replace --autofree http://10.0.2.2:8081/boot/${netX/mac:hexhyp}.ipxe?\
        platform=${platform}&uuid=${uuid}&nics=${net0/mac:hexhyp},${net1/mac:hexhyp},\
        ${net2/mac:hexhyp},${net3/mac:hexhyp},${net4/mac:hexhyp},${net5/mac:hexhyp},\
        ${net6/mac:hexhyp},${net7/mac:hexhyp} ||
        echo M2: http://10.0.2.2:8081 has no script for this machine; asking again in 10 s
        sleep 10
        goto again
        """,
        BootScripts.entry("http://10.0.2.2:8081", 10));
  }

  @Test
  void provisionedNodeLogsInWithItsNameAndSecretAndComesBackWhenTheDriveFails() {
    String script =
        BootScripts.forMachine(
            plan(
                Optional.of(new ChapCredentials("user-1", "AbcdefghijklmnopqrstuvW1")),
                Optional.of(new ChapCredentials("target-1", "ZbcdefghijklmnopqrstuvW2")),
                Portal.sameHost(3260),
                new Portal(Optional.of(InetAddress.ofLiteral("192.0.2.7")), 3261)),
            request("52-54-00-12-34-56", Map.of("platform", "pcbios")),
            ORIGIN,
            5);
    assertEquals(
        """
        #!ipxe
        set initiator-iqn INITIATOR
        clear username ||
        clear password ||
        clear reverse-username ||
        clear reverse-password ||
        set username user-1
        set password AbcdefghijklmnopqrstuvW1
        set reverse-username target-1
        set reverse-password ZbcdefghijklmnopqrstuvW2
        set keep-san 1
        echo M2: node n1 (52:54:00:12:34:56) boots from TARGET
        sanboot --drive 0x80 iscsi:10.0.2.2::3260::TARGET iscsi:192.0.2.7::3261::TARGET ||
        echo M2: the drive did not boot (cause above); asking again in 5 s
        sanunhook --drive 0x80 ||
        clear password ||
        clear reverse-password ||
        :again
        sleep 5
        chain --replace --autofree http://10.0.2.2:8081/boot/52-54-00-12-34-56.ipxe?\
        platform=${platform}&uuid=${uuid}&failed=drive&attempt=2 ||
        echo M2: http://10.0.2.2:8081 does not answer; trying again in 5 s
        goto again
        """
            .replace("INITIATOR", INITIATOR)
            .replace("TARGET", TARGET),
        script);
  }

  @Test
  void unknownMachineIsToldHowToBeAdded() {
    assertEquals(
        """
        #!ipxe
        echo M2: this server does not know this machine. To add it, run:
        echo M2:   m2 node add NAME --mac 52:54:00:12:34:56 --firmware uefi
        echo M2: system UUID 0b2f1a56-7a0e-4b53-9f2e-000000000003
        echo M2: asking again in 9 s
        :again
        sleep 9
        chain --replace --autofree http://10.0.2.2:8081/boot/52-54-00-12-34-56.ipxe?\
        platform=${platform}&uuid=${uuid}&nics=52-54-00-12-34-56,52-54-00-12-34-57 ||
        echo M2: http://10.0.2.2:8081 does not answer; trying again in 9 s
        goto again
        """,
        BootScripts.forMachine(
            new BootPlan.Unknown(),
            request(
                "52:54:00:12:34:56",
                Map.of(
                    "platform", "efi",
                    "uuid", "0b2f1a56-7a0e-4b53-9f2e-000000000003",
                    "nics", "52-54-00-12-34-56,52-54-00-12-34-57,,,")),
            ORIGIN,
            9));
  }

  @Test
  void nodeWithoutDriveIsToldHowToGetOne() {
    String script =
        BootScripts.forMachine(
            new BootPlan.NotProvisioned("rack1-n7"), request("525400123456", Map.of()), ORIGIN, 10);
    assertTrue(script.contains("echo M2:   m2 node provision rack1-n7 --image IMAGE\n"), script);
    assertTrue(script.contains("\nsleep 10\n"), script);
    assertFalse(script.contains("failed=drive"), script);
  }

  @Test
  void textOfOthersCannotAddCommandsOrVariables() {
    String script =
        BootScripts.forMachine(
            new BootPlan.Wait("n1", "held by ${password}\nreboot || x ; poweroff && y\u001b[2J"),
            request("525400123456", Map.of()),
            ORIGIN,
            10);
    assertTrue(
        script.contains(
            "echo M2: node n1 waits: held by ?{password}?reboot ?? x ? poweroff ?? y?[2J\n"),
        script);
  }

  @Test
  void secretThatIsNotOnePlainWordTravelsAsDigits() {
    String script =
        BootScripts.forMachine(
            plan(
                Optional.of(new ChapCredentials("u", "a b ${c}")),
                Optional.empty(),
                Portal.sameHost(3260)),
            request("525400123456", Map.of()),
            ORIGIN,
            5);
    assertTrue(script.contains("\nset password:hexraw 61206220247b637d\n"), script);
  }

  @Test
  void lunIsHexadecimalAndIpv6LiteralsAreBracketed() {
    DriveTarget target = new DriveTarget(TARGET, 10, List.of(Portal.sameHost(3260)));
    assertEquals(
        "iscsi:[2001:db8:0:0:0:0:0:1]::3260:a:" + TARGET,
        BootScripts.rootPath(
            target, new Portal(Optional.of(InetAddress.ofLiteral("2001:db8::1")), 3260), ORIGIN));
  }

  @Test
  void addressIsTheLiteralThatTheMachineUsedElseTheSocketsOwn() {
    InetAddress local = InetAddress.ofLiteral("127.0.0.1");
    assertEquals(
        "http://10.0.2.2:8081", Origin.reached(Optional.of("10.0.2.2:8081"), local, 8081).base());
    assertEquals(
        "http://127.0.0.1:8081", Origin.reached(Optional.of("10.0.2.2:9999"), local, 8081).base());
    assertEquals(
        "http://127.0.0.1:8081",
        Origin.reached(Optional.of("attacker.example:8081"), local, 8081).base());
    assertEquals("http://10.0.2.2:80", Origin.reached(Optional.of("10.0.2.2"), local, 80).base());
    assertEquals(
        "http://[fe80:0:0:0:0:0:0:1]:8081",
        Origin.reached(Optional.of("[fe80::1]:8081"), local, 8081).base());
    for (String hostile : List.of("[10.0.2.2:8081", "fe80::1:8081", ":8081", "1.2.3.4\n:8081")) {
      assertEquals(
          "http://127.0.0.1:8081", Origin.reached(Optional.of(hostile), local, 8081).base());
    }
    assertEquals("http://127.0.0.1:8081", Origin.reached(Optional.empty(), local, 8081).base());
    assertEquals("http://[2001:db8::5]:80", Origin.advertised("2001:db8::5", 80).base());
  }

  @Test
  void namesThatAreNotIscsiNamesAreRefused() {
    assertThrows(
        IllegalArgumentException.class,
        () -> new DriveTarget("iqn.x y", 0, List.of(Portal.sameHost(3260))));
    assertThrows(IllegalArgumentException.class, () -> new DriveTarget(TARGET, 0, List.of()));
  }

  @Test
  void macAddressesAreReadInAllUsualSpellingsAndNothingElse() {
    for (String text :
        List.of("52:54:00:AB:cd:ef", "52-54-00-ab-cd-ef", "5254.00ab.cdef", "525400abcdef")) {
      assertEquals("52:54:00:ab:cd:ef", MacAddress.parse(text).orElseThrow().toString(), text);
    }
    for (String text :
        List.of(
            "", "52:54:00:ab:cd", "52:54-00:ab:cd:ef", "52:54:00:ab:cd:eg", "../../etc/passwd")) {
      assertTrue(MacAddress.parse(text).isEmpty(), text);
    }
  }

  @Test
  void credentialsDoNotPrintTheirSecret() {
    assertFalse(new ChapCredentials("u", "s3cret").toString().contains("s3cret"));
  }
}

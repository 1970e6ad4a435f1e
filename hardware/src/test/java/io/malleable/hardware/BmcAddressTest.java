package io.malleable.hardware;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class BmcAddressTest {
  @ParameterizedTest
  @ValueSource(strings = {"", "  ", "none", "none:"})
  void noAddressMeansNobodySwitchesTheMachine(String text) {
    assertEquals(new BmcAddress.None(), BmcAddress.parse(text));
    assertEquals(new BmcAddress.None(), BmcAddress.parse(null));
  }

  @Test
  void addressesAreTakenApart() {
    assertEquals(new BmcAddress.Qemu("node-7"), BmcAddress.parse("qemu:node-7"));
    assertEquals(
        new BmcAddress.Ipmi("admin", "10.0.0.7", 623), BmcAddress.parse("ipmi://admin@10.0.0.7"));
    assertEquals(
        new BmcAddress.Ipmi("admin", "[fd00::7]", 1623),
        BmcAddress.parse("ipmi://admin@[fd00::7]:1623"));
    assertEquals(
        new BmcAddress.Redfish(
            "root", "bmc.example", 443, null, BmcAddress.NetworkBoot.PXE, false, null),
        BmcAddress.parse("redfish://root@bmc.example/"));
    assertEquals(
        new BmcAddress.Redfish(
            "root",
            "bmc.example",
            8443,
            "/redfish/v1/Systems/System.Embedded.1",
            BmcAddress.NetworkBoot.HTTP,
            true,
            new BmcAddress.Ipmi("root", "bmc.example", 1623)),
        BmcAddress.parse(
            "redfish://root@bmc.example:8443/redfish/v1/Systems/System.Embedded.1?boot=http&insecure=true&console=ipmi:1623"));
    assertEquals(
        new BmcAddress.Ipmi("root", "h", 623),
        ((BmcAddress.Redfish) BmcAddress.parse("redfish://root@h?console=ipmi")).console());
  }

  @ParameterizedTest
  @CsvSource({
    "qemu:, lab machine's name",
    "qemu:../etc, lab machine's name",
    "qemu:a/b, lab machine's name",
    "qemu:.., lab machine's name",
    "qemu:UPPER, lab machine's name",
    "ssh://root@host, unknown driver",
    "node7, unknown driver",
    "'ipmi://a b@host', not an address",
    "ipmi://host, no usable user name",
    "ipmi://-oops@host, no usable user name",
    "ipmi://admin@, no",
    "ipmi://admin@host:0, port is out of range",
    "ipmi://admin@host:70000, port is out of range",
    "ipmi://admin@host/path, nothing may follow",
    "ipmi://averyveryverylongname@host, longer than the 16 bytes",
    "redfish://root@host/redfish/v1/Chassis/1, not a ComputerSystem",
    "redfish://root@host/redfish/v1/Systems/../../x, not a ComputerSystem",
    "redfish://root@host?verify=no, unknown option",
    "redfish://root@host?console=ssh, unknown option",
    "redfish://root@host?console=ipmi:0, out of range",
    "redfish://an-account-of-17-c@host?console=ipmi, longer than the 16 bytes",
  })
  void aMalformedAddressIsRefusedNamingFieldValueAndRemedy(String text, String problem) {
    BmcAddressException e =
        assertThrows(BmcAddressException.class, () -> BmcAddress.parse(text), text);
    assertEquals("bmc", e.field());
    assertEquals(text, e.value());
    assertTrue(e.getMessage().contains(problem), e.getMessage());
    assertFalse(e.remedy().isBlank());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "ipmi://admin:s3cret@host",
        "redfish://root:s3cret@host/redfish/v1/Systems/1",
        "http://root:s3cret@host",
        "ipmi://admin:s3cret@ho st"
      })
  void aPasswordInAnAddressIsRefusedAndNeverRepeated(String text) {
    BmcAddressException e =
        assertThrows(BmcAddressException.class, () -> BmcAddress.parse(text), text);
    assertFalse(e.getMessage().contains("s3cret"), e.getMessage());
    assertFalse(e.value().contains("s3cret"), e.value());
  }

  @Test
  void aSecretDoesNotPrintItself() {
    assertFalse(("" + new Secret("s3cret")).contains("s3cret"));
  }
}

package io.malleable.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

final class NamesTest {
  @Test
  void aNameIsLowerCaseAndShortAndNoId() {
    for (String name : List.of("a", "0", "debian-12", "a.b_c-d", "x".repeat(63))) {
      assertEquals(name, ResourceName.check("name", name));
    }
    for (String name :
        List.of("", "A", "-a", ".a", "a b", "a/b", "ä", "x".repeat(64), "a\n", "a\u0000")) {
      ControlException e =
          Refused.with(ErrorCode.NAME_INVALID, () -> ResourceName.check("name", name));
      assertEquals(Optional.of("name"), e.field());
      assertTrue(e.hint().orElseThrow().contains(ResourceName.RULE));
      assertFalse(e.message().contains("\n") || e.message().contains("\u0000"));
    }
    Refused.with(
        ErrorCode.NAME_INVALID,
        () -> ResourceName.check("name", "01234567-89ab-cdef-0123-456789abcdef"));
  }

  @Test
  void aMacAddressHasOneForm() {
    for (String text :
        List.of("52:54:00:AB:cd:01", "52-54-00-ab-cd-01", "5254.00ab.cd01", "525400abcd01")) {
      assertEquals("52:54:00:ab:cd:01", MacAddress.parse("mac", text).text());
    }
    for (String text :
        List.of(
            "",
            "52:54:00",
            "zz:54:00:ab:cd:01",
            "01:00:5e:00:00:01",
            "00:00:00:00:00:00",
            "ff:ff:ff:ff:ff:ff",
            "52:54:00:ab:cd:01:02")) {
      Refused.with(ErrorCode.MAC_INVALID, () -> MacAddress.parse("mac", text));
    }
  }

  @Test
  void secretsDoNotShowInText() {
    ChapCredentials chap = new ChapCredentials("user", "TopSecret");
    Binding binding =
        TargetSteps.newBinding(
            new java.util.UUID(1, 2), Optional.empty(), List.of(), WriteCache.WRITE_BACK);
    assertFalse(chap.toString().contains("TopSecret"));
    assertFalse(binding.toString().contains(binding.chap().secret()));
    assertFalse(binding.toString().contains(binding.phoneHomeToken()));
    assertEquals(24, binding.chap().secret().length());
    assertTrue(binding.chap().secret().matches("[A-Za-z0-9]+"));
  }

  @Test
  void anErrorDoesNotRepeatAHugeValue() {
    ControlException e =
        Refused.with(ErrorCode.NAME_INVALID, () -> ResourceName.check("name", "x".repeat(100_000)));
    assertTrue(e.message().length() < 300);
    assertTrue(e.value().orElseThrow().length() < 200);
  }

  @Test
  void aCursorOfSomebodyElseIsRefused() {
    Refused.with(ErrorCode.CURSOR_INVALID, () -> new PageRequest(Optional.of("!!"), 10).afterKey());
    Refused.with(
        ErrorCode.CURSOR_INVALID, () -> new PageRequest(Optional.of("aGFsbG8"), 10).afterKey());
    Refused.with(ErrorCode.FIELD_INVALID, () -> new PageRequest(Optional.empty(), 0));
    Refused.with(ErrorCode.FIELD_INVALID, () -> new PageRequest(Optional.empty(), 1001));
  }
}

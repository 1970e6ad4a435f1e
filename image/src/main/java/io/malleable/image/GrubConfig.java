package io.malleable.image;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What GRUB boots by its configuration (GRUB manual, chapter 6), as far as that can be told without
 * running its script: menu entries in order, and plain variables.
 */
final class GrubConfig {
  private static final int MAX_LINES = 20_000;
  private static final int MAX_ENTRIES = 200;
  private static final int MAX_INITRDS = 8;
  private static final int MAX_VARIABLES = 1000;
  private static final int MAX_WORD_CHARS = 8192;
  private static final Pattern VARIABLE = Pattern.compile("\\$(?:\\{(\\w+)}|(\\w+))");

  private final Map<String, String> variables = new HashMap<>();
  private final List<BootEntry> entries = new ArrayList<>();

  /** Of each item of the menu, the number of its first entry. */
  private final List<Integer> items = new ArrayList<>();

  private final Deque<String> blocks = new ArrayDeque<>();
  private Draft draft = new Draft("");
  private String device = "";
  private int defaultItem;
  private boolean usesLoaderEntries;

  /** An entry that is being read. */
  private static final class Draft {
    private final String title;
    private String kernel = "";
    private String commandLine = "";
    private String device = "";
    private final List<String> initrds = new ArrayList<>();

    Draft(String title) {
      this.title = title;
    }
  }

  private GrubConfig() {}

  static GrubConfig parse(String text) {
    GrubConfig config = new GrubConfig();
    text.replace("\\\n", " ").lines().limit(MAX_LINES).forEach(config::line);
    config.finish();
    return config;
  }

  /** The one that boots when nobody touches the keyboard. */
  Optional<BootEntry> defaultEntry() {
    if (entries.isEmpty()) {
      return Optional.empty();
    }
    int number = defaultItem < items.size() ? items.get(defaultItem) : 0;
    return Optional.of(entries.get(Math.min(number, entries.size() - 1)));
  }

  List<BootEntry> entries() {
    return entries;
  }

  /** Whether the menu comes from files of the Boot Loader Specification. */
  boolean usesLoaderEntries() {
    return usesLoaderEntries;
  }

  /** By what it finds another file system before the menu; empty for nothing. */
  String device() {
    return device;
  }

  /** Replaces the variables that are known; cuts off what is longer than any command line. */
  String expand(String text) {
    Matcher matcher = VARIABLE.matcher(cut(text));
    StringBuilder expanded = new StringBuilder();
    while (expanded.length() < MAX_WORD_CHARS && matcher.find()) {
      String name = matcher.group(1) == null ? matcher.group(2) : matcher.group(1);
      String value = variables.getOrDefault(name, matcher.group());
      matcher.appendReplacement(expanded, Matcher.quoteReplacement(value));
    }
    return cut(matcher.appendTail(expanded).toString());
  }

  private static String cut(String text) {
    return text.length() > MAX_WORD_CHARS ? text.substring(0, MAX_WORD_CHARS) : text;
  }

  /** Adds variables from elsewhere, such as grubenv. */
  void define(String name, String value) {
    if (variables.size() < MAX_VARIABLES || variables.containsKey(name)) {
      variables.put(name, cut(value));
    }
  }

  private void line(String line) {
    List<String> words = ShellWords.split(line);
    if (words.isEmpty()) {
      return;
    }
    String command = words.getFirst();
    switch (command) {
      case "menuentry", "submenu" -> open(command, words.size() > 1 ? words.get(1) : "");
      case "function" -> blocks.push(command);
      case "}" -> close();
      case "set" -> set(words);
      case "search", "search.fs_uuid", "search.fs_label", "search.file" -> search(words);
      case "linux", "linux16", "linuxefi" -> {
        if (words.size() > 1) {
          draft.kernel = path(words.get(1));
          draft.commandLine = expand(line.strip().replaceFirst("^\\S+\\s+\\S+\\s*", ""));
        }
      }
      case "initrd", "initrd16", "initrdefi" ->
          words.stream()
              .skip(1)
              .limit(MAX_INITRDS - draft.initrds.size())
              .forEach(w -> draft.initrds.add(path(w)));
      case "blscfg" -> usesLoaderEntries = true;
      default -> {}
    }
  }

  private void open(String kind, String title) {
    boolean isTop = blocks.isEmpty();
    blocks.push(kind);
    if (isTop) {
      finish();
      items.add(entries.size());
    }
    if (kind.equals("menuentry")) {
      draft = new Draft(title);
    }
  }

  private void close() {
    if (!blocks.isEmpty() && blocks.pop().equals("menuentry")) {
      finish();
    }
  }

  private void finish() {
    if (!draft.kernel.isEmpty() && entries.size() < MAX_ENTRIES) {
      entries.add(
          new BootEntry(
              draft.title,
              draft.kernel,
              draft.initrds,
              draft.commandLine,
              draft.device.isEmpty() ? device : draft.device));
    }
    draft = new Draft("");
  }

  private void set(List<String> words) {
    String assignment = words.size() > 1 ? words.get(1) : "";
    int equals = assignment.indexOf('=');
    if (equals <= 0) {
      return;
    }
    String name = assignment.substring(0, equals);
    String value = expand(assignment.substring(equals + 1));
    if (name.equals("default") && value.matches("\\d{1,3}")) {
      defaultItem = Integer.parseInt(value);
    }
    // What GRUB itself sets while it runs stays a variable.
    if (!name.equals("root") && !name.equals("prefix")) {
      define(name, value);
    }
  }

  private void search(List<String> words) {
    String kind = "FILE=";
    String wanted = "";
    for (String word : words) {
      switch (word) {
        case "--fs-uuid", "-u", "search.fs_uuid" -> kind = "UUID=";
        case "--label", "-l", "--fs-label", "search.fs_label" -> kind = "LABEL=";
        case "search", "search.file", "--file", "-f" -> {}
        default -> {
          if (!word.startsWith("-") && wanted.isEmpty()) {
            wanted = kind + expand(word);
          }
        }
      }
    }
    if (wanted.isEmpty() || wanted.contains("$")) {
      return;
    }
    if (blocks.contains("menuentry")) {
      draft.device = wanted;
    } else {
      device = wanted;
    }
  }

  /** Without the device in front: {@code ($root)/vmlinuz}. */
  private String path(String word) {
    return expand(word).replaceFirst("^\\([^)]*\\)", "");
  }
}

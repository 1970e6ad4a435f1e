package io.malleable.app;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.logging.ConsoleHandler;
import java.util.logging.Formatter;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;

/** One line per event on standard error. */
final class Logging {
  /** The logging framework keeps loggers weakly; levels set on them would be lost. */
  private static final List<Logger> QUIET =
      List.of(
          Logger.getLogger("org.flywaydb"),
          Logger.getLogger("io.helidon"),
          Logger.getLogger("com.zaxxer"),
          Logger.getLogger("org.jdbi"));

  private Logging() {}

  static void start(Settings.LogLevel least) {
    Level level =
        switch (least) {
          case DEBUG -> Level.FINE;
          case INFO -> Level.INFO;
          case WARNING -> Level.WARNING;
          case ERROR -> Level.SEVERE;
        };
    Logger root = Logger.getLogger("");
    for (Handler handler : root.getHandlers()) {
      root.removeHandler(handler);
    }
    Handler console = new ConsoleHandler();
    console.setFormatter(new Line());
    console.setLevel(level);
    root.addHandler(console);
    root.setLevel(Level.INFO);
    Logger.getLogger("io.malleable").setLevel(level);
    QUIET.forEach(logger -> logger.setLevel(Level.WARNING));
  }

  /** Time, level, room and class, message; a stack trace follows on lines of its own. */
  private static final class Line extends Formatter {
    private static final DateTimeFormatter TIME =
        DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC);

    @Override
    public String format(LogRecord record) {
      StringWriter text = new StringWriter();
      text.append(TIME.format(record.getInstant()))
          .append(' ')
          .append(word(record.getLevel()))
          .append(' ')
          .append(shortName(record.getLoggerName()))
          .append(": ")
          .append(oneLine(formatMessage(record)))
          .append('\n');
      if (record.getThrown() != null) {
        record.getThrown().printStackTrace(new PrintWriter(text, true));
      }
      return text.toString();
    }

    private static String word(Level level) {
      if (level.intValue() >= Level.SEVERE.intValue()) {
        return "ERROR";
      }
      if (level.intValue() >= Level.WARNING.intValue()) {
        return "WARN ";
      }
      return level.intValue() >= Level.INFO.intValue() ? "INFO " : "DEBUG";
    }

    private static String shortName(String logger) {
      return logger == null ? "-" : logger.replace("io.malleable.", "");
    }

    /** What a peer said must not look like a line of ours. */
    private static String oneLine(String message) {
      return message.replace("\r", "\\r").replace("\n", "\\n");
    }
  }
}

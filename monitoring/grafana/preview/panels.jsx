// The panels of a dashboard, drawn by the components that Grafana itself draws them with.

import {
  dateTime,
  FieldColorModeId,
  FieldType,
  getDisplayProcessor,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from "@grafana/data";
import { BigValue, PanelChrome, Table, TimeSeries, useTheme2 } from "@grafana/ui";
import { useEffect, useState } from "react";

import { framesOf } from "./prometheus.js";

const { mergeTransformer, organizeFieldsTransformer } = standardTransformers;

standardTransformersRegistry.setInit(() =>
  [mergeTransformer, organizeFieldsTransformer].map((made) => ({ id: made.id, name: made.name, transformation: made })),
);

export function Panel({ panel, place, width, height }) {
  const frames = useFrames(panel, place);
  return (
    <PanelChrome title={panel.title} description={panel.description} width={width} height={height}>
      {(w, h) => (frames ? <Inside panel={panel} frames={frames} place={place} width={w} height={h} /> : null)}
    </PanelChrome>
  );
}

function useFrames(panel, place) {
  const [frames, setFrames] = useState(null);
  useEffect(() => {
    framesOf(panel, place).then((found) => {
      const options = { interpolate: (text) => text };
      const steps = panel.transformations ?? [];
      transformDataFrame(steps, found, options).subscribe((made) => setFrames(made));
    });
  }, []);
  return frames;
}

function Inside(props) {
  const theme = useTheme2();
  const frames = props.frames.map((frame) => configured(frame, props.panel, theme));
  const Kind = { stat: Stat, timeseries: Lines, table: Rows }[props.panel.type];
  return <Kind {...props} frames={frames} theme={theme} />;
}

/** Give each field what the panel says of all fields, and of those with its name. */
function configured(frame, panel, theme) {
  const { defaults, overrides = [] } = panel.fieldConfig;
  const fields = frame.fields.map((field) => {
    const name = field.config.displayName ?? field.config.displayNameFromDS ?? field.name;
    const mine = overrides.filter(({ matcher }) => matches(matcher, name)).flatMap(({ properties }) => properties);
    const isNumber = field.type === FieldType.number;
    const color = defaults.color ?? { mode: panel.type === "timeseries" ? "palette-classic" : "thresholds" };
    const config = { ...(isNumber ? { ...defaults, color } : {}), ...field.config, custom: { ...defaults.custom } };
    for (const { id, value } of mine) {
      if (id.startsWith("custom.")) config.custom[id.slice(7)] = value;
      else config[id] = value;
    }
    const made = { ...field, config, state: { ...field.state, seriesIndex: 0 } };
    return { ...made, display: getDisplayProcessor({ field: made, theme, timeZone: "utc" }) };
  });
  return { ...frame, fields };
}

function matches({ id, options }, name) {
  return id === "byRegexp" ? new RegExp(options.slice(1, -1)).test(name) : options === name;
}

function Stat({ panel, frames, width, height, theme }) {
  const { defaults } = panel.fieldConfig;
  const field = frames[0]?.fields.find(({ type }) => type === FieldType.number);
  const config = { ...defaults, color: { mode: FieldColorModeId.Thresholds } };
  const show = getDisplayProcessor({ field: { type: FieldType.number, config }, theme });
  const { colorMode, graphMode } = panel.options;
  const value = show(field ? field.values[field.values.length - 1] : null);
  return <BigValue value={value} {...{ width, height, theme, colorMode, graphMode }} justifyMode="auto" />;
}

function Lines({ panel, frames, place, width, height }) {
  const range = { from: dateTime(place.from * 1000), to: dateTime(place.to * 1000) };
  const coloured = frames.map((frame, n) => ({
    ...frame,
    fields: frame.fields.map((field) => ({ ...field, state: { ...field.state, seriesIndex: n } })),
  }));
  if (!frames.length) return <p>{panel.fieldConfig.defaults.noValue}</p>;
  return (
    <TimeSeries
      frames={coloured}
      structureRev={1}
      timeRange={{ ...range, raw: range }}
      timeZone="utc"
      legend={panel.options.legend}
      options={{}}
      {...{ width, height }}
    />
  );
}

function Rows({ panel, frames, width, height }) {
  if (!frames.length) return null;
  return <Table data={frames[0]} fieldConfig={panel.fieldConfig} columnMinWidth={60} {...{ width, height }} />;
}

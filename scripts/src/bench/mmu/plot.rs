//! The figures drawn: four panels in one SVG.

use super::Report;
use super::instructions::{Faults, Growth, SIZES};
use super::threads::Rates;
use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const SIZE: (u32, u32) = (1500, 1040);
/// Colours that people who see fewer of them tell apart as well (Okabe and Ito).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(120, 120, 120),
];
const DISCIPLINES: [&str; 3] = ["ours", "one lock", "read-write lock"];
const TITLE: u32 = 20;
const TEXT: u32 = 14;
/// Pixels between the groups of bars, and the width of a panel that holds them.
const GAP: u32 = 10;
const BARS: u32 = 654;

/// Draws everything.
pub fn draw(report: &Report) -> Result<String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let panels = root.split_evenly((2, 2));
        let [first, second, third, fourth] = &panels[..] else { return Err(anyhow!("a panel is missing")) };
        instructions(first, &report.faults)?;
        rates(second, &report.rates)?;
        growth(third, "Mutations: instructions per 2 MiB", &report.growth, "per 2 MiB")?;
        growth(fourth, "Dirty log on and off: instructions in all", &report.growth, "in all")?;
        root.present()?;
    }
    Ok(svg)
}

/// Bars: instructions per fault, a group for each kind.
fn instructions(area: &Area<'_>, faults: &[Faults]) -> Result<()> {
    let highest = faults.iter().map(|row| row.one_lock.max(row.ours).max(row.read_write)).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption("Instructions per fault, one thread", ("sans-serif", TITLE))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d((0..faults.len().saturating_sub(1)).into_segmented(), 0.0..highest * 1.35)?;
    let name = |at: &SegmentValue<usize>| match at {
        SegmentValue::CenterOf(index) => faults.get(*index).map_or_else(String::new, |row| row.name.clone()),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(faults.len() + 1)
        .x_label_formatter(&name)
        .y_label_formatter(&whole)
        .y_desc("instructions")
        .label_style(("sans-serif", TEXT))
        .draw()?;
    let group = BARS / faults.len().max(1) as u32;
    let width = (group - 2 * GAP) / DISCIPLINES.len() as u32;
    for (nth, (discipline, colour)) in (0u32..).zip(DISCIPLINES.into_iter().zip(COLOURS)) {
        let (left, right) = (GAP + nth * width, GAP + (2 - nth) * width);
        let bars = faults.iter().enumerate().map(|(index, row)| {
            let height = [row.ours, row.one_lock, row.read_write][nth as usize];
            let corners = [(SegmentValue::Exact(index), 0.0), (SegmentValue::Exact(index + 1), height)];
            let mut bar = Rectangle::new(corners, colour.filled());
            bar.set_margin(0, 0, left, right);
            bar
        });
        chart.draw_series(bars)?.label(discipline).legend(move |(x, y)| swatch(x, y, colour));
    }
    let labels = faults.iter().enumerate().map(|(index, row)| {
        let place = (SegmentValue::CenterOf(index), row.ours.max(row.one_lock));
        let text = Text::new(format!("{:.0} / {:.0}", row.ours, row.one_lock), (-30, -18), ("sans-serif", TEXT));
        EmptyElement::at(place) + text
    });
    chart.draw_series(labels)?;
    legend(&mut chart)
}

/// Lines: faults per second by threads; disjoint pages drawn full, neighbouring ones thin.
fn rates(area: &Area<'_>, rates: &[Rates]) -> Result<()> {
    let faults = || rates.iter().filter(|row| row.subject != "loop" && row.pattern != "same");
    let points = |row: &Rates| row.by_threads.iter().map(|(threads, rate)| (*threads as f64, rate / 1e6)).collect();
    let highest = faults().flat_map(|row| &row.by_threads).map(|(_, rate)| rate / 1e6).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption("Faults per second, pages of zeros", ("sans-serif", TITLE))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(0.8..4.2, 0.0..highest * 1.5)?;
    chart
        .configure_mesh()
        .x_labels(8)
        .x_label_formatter(&|threads: &f64| if threads.fract() == 0.0 { format!("{threads}") } else { String::new() })
        .x_desc("threads")
        .y_desc("million faults per second")
        .label_style(("sans-serif", TEXT))
        .draw()?;
    for row in faults() {
        let nth = ["ours", "one-lock", "read-write"].iter().position(|name| *name == row.subject).unwrap_or(0);
        let (colour, disjoint) = (COLOURS[nth], row.pattern == "disjoint");
        let style = colour.stroke_width(if disjoint { 4 } else { 1 });
        let points: Vec<(f64, f64)> = points(row);
        let label = format!("{}, {}", DISCIPLINES[nth], row.pattern);
        let line = chart.draw_series(LineSeries::new(points.clone(), style))?;
        line.label(label).legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
        chart
            .draw_series(points.into_iter().map(|at| Circle::new(at, if disjoint { 5 } else { 3 }, colour.filled())))?;
    }
    legend(&mut chart)
}

/// Lines over memory size, on scales of powers: a line that is level does not depend on it.
fn growth(area: &Area<'_>, title: &str, growth: &[Growth], unit: &str) -> Result<()> {
    let rows = || growth.iter().filter(|row| row.unit == unit);
    let highest = rows().flat_map(|row| row.costs).fold(1.0, f64::max);
    let lowest = rows().flat_map(|row| row.costs).fold(f64::INFINITY, f64::min);
    let (from, to) = (10f64.powf(lowest.log10().floor()), highest * 10.0);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", TITLE))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(72)
        .build_cartesian_2d((0.8..400.0).log_scale(), (from..to).log_scale())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_label_formatter(&|_| String::new())
        .y_label_formatter(&whole)
        .x_desc("GiB of guest memory")
        .y_desc("instructions")
        .label_style(("sans-serif", TEXT))
        .draw()?;
    let sizes = SIZES
        .iter()
        .map(|gib| EmptyElement::at((*gib as f64, from)) + Text::new(gib.to_string(), (-4, 8), ("sans-serif", TEXT)));
    chart.draw_series(sizes)?;
    for (nth, row) in rows().enumerate() {
        let (colour, again) = (COLOURS[nth % COLOURS.len()], nth >= COLOURS.len());
        let points: Vec<(f64, f64)> = SIZES.iter().map(|gib| *gib as f64).zip(row.costs).collect();
        let style = colour.stroke_width(if again { 1 } else { 3 });
        let line = chart.draw_series(LineSeries::new(points.clone(), style))?;
        line.label(row.name).legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
        chart.draw_series(points.into_iter().map(|at| Circle::new(at, 4, colour.filled())))?;
    }
    legend(&mut chart)
}

fn whole(value: &f64) -> String {
    format!("{value:.0}")
}

fn swatch(x: i32, y: i32, colour: RGBColor) -> Rectangle<(i32, i32)> {
    Rectangle::new([(x, y - 6), (x + 16, y + 6)], colour.filled())
}

fn legend<'a, C: CoordTranslate>(chart: &mut ChartContext<'a, SVGBackend<'a>, C>) -> Result<()> {
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", TEXT))
        .draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::threads::Scaling;
    use super::*;

    #[test]
    fn each_panel_names_what_it_shows() {
        let faults = |name: &str| Faults {
            name: name.into(),
            faults: 1,
            pages: 1,
            ours: 360.0,
            one_lock: 363.0,
            read_write: 363.0,
        };
        let mutation = |name, unit| Growth { name, unit, id: "", costs: [1.0, 10.0, 100.0] };
        let by_threads = vec![(1, 1e7), (2, 2e7), (4, 2e7)];
        let report = Report {
            faults: ["spurious", "zero page", "zeros upwards", "image pages", "image copy", "store under log"]
                .map(faults)
                .to_vec(),
            growth: vec![mutation("unmap", "per 2 MiB"), mutation("log off", "in all")],
            rates: vec![Rates { pattern: "disjoint".into(), subject: "ours".into(), by_threads }],
            scaling: Scaling { of_loop: 2.0, relative: [1.0; 3] },
            told: Vec::new(),
            gates: Vec::new(),
        };
        let svg = draw(&report).unwrap();
        for text in ["zero page", "read-write lock", "ours, disjoint", "unmap", "log off", "GiB of guest memory"] {
            assert!(svg.contains(text), "{text} is not in the drawing");
        }
    }
}

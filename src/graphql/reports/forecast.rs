//! `forecast`: the visits to expect.

use std::sync::Arc;

use async_graphql::{Context, Object, Result, SimpleObject};

use crate::{
    graphql::{
        cost,
        error::client_error,
        guard,
        types::{
            inputs::{self, TimeBasis, TokenFilterInput},
            rows::{Rows, row},
            scalars::{Date, DateTime, TimeZone},
        },
    },
    reports::{self, Argument, Backtest, Session},
};

/// The number of days that the cost assumes.
const USUAL_DAYS: usize = 14;

/// The root of `forecast`.
#[derive(Debug, Default)]
pub(in crate::graphql) struct ForecastQuery;

#[Object]
impl ForecastQuery {
    /// The visits to expect on the days to come, for example to plan next week. The total of a week follows the level and
    /// the fading trend of the weeks before (a damped trend), and is divided among the days of the week as in the last
    /// eight weeks. Holidays and closing days are not known. At least two whole weeks must have been recorded.
    #[graphql(complexity = "cost::of(1, child_complexity)")]
    async fn forecast(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "The number of days to forecast: 1 to 92. The first is today, or the day after the end of \
                                  the \
                          filter's range if that is earlier.",
            default = 14
        )]
        days: i32,
        #[graphql(
            desc = "The door codes to learn from, which are those of the days that are over, at most 52 weeks. All \
                                      of \
                    these count when the filter is left out. Days of the week that are left out are not forecast."
        )]
        filter: Option<TokenFilterInput>,
        #[graphql(desc = "The time zone of the days, and of the dates in `filter`. It is the default zone when it \
                                  is left out: UTC unless configured otherwise.")]
        time_zone: Option<TimeZone>,
        #[graphql(
            desc = "The time that assigns a visit to a day: the time at which its door code was issued, or the time \
                    at which it was used. It is the default basis when it is left out: `ISSUED_AT` unless \
                    configured otherwise."
        )]
        basis: Option<TimeBasis>,
    ) -> Option<Result<Forecast>> {
        let forecast = async {
            guard::reports(ctx)?;
            let here = inputs::here(ctx, Argument::TIME_ZONE, time_zone.as_ref(), None)?;
            let filter = filter.unwrap_or_default().into_filter(ctx, here, basis)?;
            ctx.data_unchecked::<Arc<Session>>().forecast(&filter, days).await
        };
        Some(forecast.await.map(Forecast).map_err(client_error))
    }
}

struct Forecast(reports::Forecast);

/// The visits to expect on the days to come.
#[Object]
impl Forecast {
    /// The first local date that the forecast learned from. Null when there are less than two whole weeks; then there
    /// is no forecast.
    async fn learned_from(&self) -> Option<Date> {
        self.0.learned.map(|(from, _)| from.into())
    }

    /// The last local date that the forecast learned from: yesterday, or the end of the filter's range.
    async fn learned_to(&self) -> Option<Date> {
        self.0.learned.map(|(_, to)| to.into())
    }

    /// The days to come, in order.
    #[graphql(complexity = "cost::of(USUAL_DAYS, child_complexity)")]
    async fn days(&self) -> Rows<ForecastDay> {
        Rows(self.0.days.iter().map(Into::into).collect())
    }

    /// How far forecasts of this kind were from what happened. Null when less than three weeks were recorded.
    async fn backtest(&self) -> Option<ForecastBacktest> {
        self.0.backtest.map(Into::into)
    }
}

/// The visits to expect on a day.
#[derive(Debug, SimpleObject)]
struct ForecastDay {
    /// The local date.
    date: Date,
    /// The instant, in UTC, at which the day starts.
    starts_at: DateTime,
    /// The visits to expect on the whole day, rounded to hundredths.
    expected: f64,
    /// The lower end of the interval in which four of five days should be, as far as the errors of the backtest tell.
    /// Null without a backtest.
    lower: Option<f64>,
    /// The upper end of that interval. Null without a backtest.
    upper: Option<f64>,
}

row!(ForecastDay: date, starts_at, expected, lower, upper);

impl From<&reports::ForecastDay> for ForecastDay {
    fn from(day: &reports::ForecastDay) -> Self {
        let (lower, upper) = day.interval.unzip();
        Self { date: day.date.into(), starts_at: DateTime(day.starts_at()), expected: day.expected, lower, upper }
    }
}

/// Forecasts of the last weeks, at most eight, each made from the weeks before it alone and compared with what happened.
#[derive(Debug, SimpleObject)]
struct ForecastBacktest {
    /// The number of days that were forecast.
    days: usize,
    /// The mean absolute error: by how many visits a day differed from its forecast, on average, rounded to hundredths.
    mean_absolute_error: f64,
    /// The same for a forecast that repeats the week before. The forecast is of use where its error is smaller.
    seasonal_naive_error: f64,
}

impl From<Backtest> for ForecastBacktest {
    fn from(backtest: Backtest) -> Self {
        let Backtest { days, error, naive_error } = backtest;
        Self { days, mean_absolute_error: error, seasonal_naive_error: naive_error }
    }
}

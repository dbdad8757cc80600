    UNION ALL
    SELECT 2, format('%s has no trigger %s, or it is not enabled as it was made: `coworking-analytics rollup upgrade` makes it', part.name, trigger.name)
    FROM part CROSS JOIN LATERAL ({triggers}) AS trigger
    LEFT JOIN pg_trigger ON tgrelid = id AND tgname = trigger.name AND tgenabled = trigger.enabled::"char"
        AND tgfoid = (SELECT oid FROM pg_proc WHERE pronamespace = '{schema}'::REGNAMESPACE AND proname = trigger.function)
    WHERE pg_trigger.oid IS NULL
